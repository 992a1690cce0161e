"""What traffic says of an evaluator: rates with intervals, and spikes. Pure functions over numbers.

`reviews` keeps what was drawn with a known probability apart from what somebody picked; `estimates`
takes only the former. `spikes` looks for changes, and `simulate` shows how often it is wrong.
"""
