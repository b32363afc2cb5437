"""The world: members, their dynamics, their luck and their logged signals."""
