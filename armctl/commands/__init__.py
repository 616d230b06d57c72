"""The subcommands of `armctl`; each module is imported only when its command is called."""
