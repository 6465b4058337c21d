package report

import "slices"

// Stack puts drawings one below the other in a single one. Each keeps its heading;
// title is the title of the SVG as a whole.
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
