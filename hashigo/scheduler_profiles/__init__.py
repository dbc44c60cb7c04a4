"""Sites and how to reach their schedulers."""
