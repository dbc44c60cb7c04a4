"""What the scientist asks for: the study file, structures, existing data."""
