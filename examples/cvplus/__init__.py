"""CVPlus, the application that moves: seven services, each as part of the legacy monolith and as a package."""
