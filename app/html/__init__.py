"""Pages for people: templates, styles, plots and the headers that keep them safe; see README."""
