"""Labeled sets: images, classes, splits, and the rules that keep images.

detect       a folder -> its kind, from its files
registry     names -> kinds and folders (datasets.toml); the split that is reported; options of each kind
  → ferplus, fer2013, affectnet, rafdb, posed, folder, tables    the layouts
      → label_table, pixel_tables    tables of labels and of pixels: delimiters, columns, splits, true line numbers
      → classes, published           what a set calls its classes -> a label order, by mapping or published counts
      → sources                      encoded images by name out of folders and zips; files to skip
  → vote_rules    FERPlus votes -> targets
  → base     what all of them produce: `Split`
  → subsets, holdout, folds    label budgets, fewer classes; the part that chooses the epoch; folds of subjects
  → images, pictures   pixels by row number; hashes of pixels
align        faces of photographs cropped as in RMset
check        damaged and duplicate files; class counts against the label order
sheet        contact sheet, classes × splits
overlap      the same picture in two sets or splits
"""
