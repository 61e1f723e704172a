"""What an application is and how it is set up: init, adopt, check, doctor, render."""
