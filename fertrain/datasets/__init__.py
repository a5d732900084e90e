"""Labeled sets: images, classes, splits, and the rules that keep images.

detect       a folder -> its kind, by looking
registry     names -> kinds and folders (datasets.toml); the split that is reported; options of each kind
  → ferplus, fer2013, affectnet, rafdb, posed, folder, tables    the layouts
      → label_table, pixel_tables    tables of labels and of pixels: delimiters, columns, splits, true line numbers
      → classes, published           what a set calls its classes -> a label order, by mapping or published counts
      → sources                      encoded images by name out of folders and zips; what is no data
  → vote_rules    FERPlus votes -> targets
  → base     the noun they share: `Split`
  → subsets, holdout, folds    label budgets, fewer classes; the part that chooses the epoch; folds of subjects
  → images, pictures   pixels by row number; what pictures show, as hashes
align        photographs cut as RMset's crops are
check        what is wrong with the files; whether class counts fit the label order
sheet        classes × splits at one look
overlap      the same picture in two sets or splits
"""
