"""All members of a committee of polynomial potentials, evaluated from one set of features."""
