"""What pytest leaves out: the build of the site."""

collect_ignore_glob = ["_build/*", "api/*", "conf*.py", "examples/*"]
