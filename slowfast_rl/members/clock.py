"""Units of time: times are int64 simulated seconds since Monday 00:00 of week 0."""

DAY_SECONDS = 86_400
WEEK_SECONDS = 7 * DAY_SECONDS
HORIZON_WEEKS = 5_200  # a century; later times from outside are refused as mistakes
