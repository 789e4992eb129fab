"""From a folder of pictures to the shipped weights: synthesise, train, ship, measure."""
