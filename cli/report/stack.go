package report

import "slices"

// Stack puts drawings one below the other, each with its own heading.
func Stack(title string, drawings ...*Drawing) *Drawing {
	out := &Drawing{Title: title}
	for _, d := range drawings {
		for _, s := range d.shapes {
			s.points = slices.Clone(s.points)
			for i := 1; i < len(s.points); i += 2 {
				s.points[i] += out.Height
			}
			out.add(s)
		}
		out.Width = max(out.Width, d.Width)
		out.Height += d.Height
	}
	return out
}
