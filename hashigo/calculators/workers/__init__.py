"""Programs that the scheduler starts; they import no AiiDA."""
