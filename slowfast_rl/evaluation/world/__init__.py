"""What a world shows: its properties, targets and checks, each measured."""
