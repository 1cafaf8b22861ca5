"""What every program of this project has: settings, commands, a key, stop signals and checks."""
