"""The YAML files; with this file a wheel serves them as the package slowfast_rl.configs."""
