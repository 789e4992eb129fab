"""How corrected frames become new weights.

- `train`: the verb; `arguments`: checked, and what stands in for those not said; `stored_run`: what
  a training did, as the dataset keeps it.
- `data`: the frames that people looked at, as ultralytics reads them; `splits`: which of them to
  validate with; `earlier_sides`: where earlier trainings had them.
- `trainer_run`: ultralytics at work, interrupted and resumed; `promotion`: when new weights become
  the default.
"""
