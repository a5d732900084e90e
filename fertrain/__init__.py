"""fertrain: facial expression recognition from crowd votes and from reaction mashups.

    labels, datasets      which images, which classes, in which order, kept by which rule
      → transforms        batches on tensors: gray, augment, normalize (the input spec travels with the weights)
      → models            features + head, by name
      → losses            MV, ML, PLD, CEL (FERPlus); attention and contrast (RMFER); the rivals': pure functions
      → methods           phases, a loss, and what happens after a step: supervised, rmfer, fixmatch, …
      → streams, feed     what stands side by side in a step: labeled images, views of unlabeled ones, anchors
      → train             one loop; it knows no method's name
      → evaluate, report  everything out of one confusion matrix; one page per run
      → experiment        the only place where they meet: `run(RunConfig(...))` writes one run folder
      → compare           seeds, seeds × variants into one table, t-tests
      → features          what a finished run makes of images, for all that looks at runs afterwards:
        pairs             what candidates are worth; scripted makes roots whose truth is known
        insight           attention, maps of features, parts of a face that an answer needs

The listing is in docs/architecture.md, floor by floor.

Nothing here imports torch before it is needed by name: `import fertrain` costs nothing.
"""
