"""The commands of `legpose`, grouped by what a user is about to do; they hold no logic."""
