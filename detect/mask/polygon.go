package mask

import (
	"errors"
	"fmt"
	"slices"
)

// MaxCoordinate is the largest magnitude of a polygon's coordinates.
const MaxCoordinate = 1 << 20

// FromPolygon returns the pixels inside a polygon, as a mask [h,w]. xy holds x and y of
// each corner in turn, in pixels: (0,0) is the upper left corner of the image, (1,1)
// that of its second pixel in its second row. The polygon is closed, may cross itself
// (a pixel is inside if the way to it from above crosses the outline an odd number of
// times) and may leave the image.
func FromPolygon(xy []float64, h, w int) (*RLE, error) {
	if err := checkSize(h, w); err != nil {
		return nil, err
	}
	if len(xy) == 0 || len(xy)%2 != 0 {
		return nil, fmt.Errorf("mask: a polygon of %d numbers, not of x and y for each corner", len(xy))
	}
	for _, v := range xy {
		if !(v >= -MaxCoordinate && v <= MaxCoordinate) {
			return nil, fmt.Errorf("mask: %v is not a coordinate: beyond %d", v, MaxCoordinate)
		}
	}
	return &RLE{h, w, rasterize(xy, h, w)}, nil
}

// FromPolygons returns the pixels that are inside any of the polygons of an object.
func FromPolygons(polygons [][]float64, h, w int) (*RLE, error) {
	if len(polygons) == 0 {
		return nil, errors.New("mask: an object of no polygons")
	}
	masks := make([]*RLE, len(polygons))
	for i, xy := range polygons {
		var err error
		if masks[i], err = FromPolygon(xy, h, w); err != nil {
			return nil, err
		}
	}
	return Union(masks...)
}

// FromBox returns the pixels of a box, which is x, y, width and height, as those of the
// polygon of its corners.
func FromBox(b [4]float64, h, w int) (*RLE, error) {
	x0, y0, x1, y1 := b[0], b[1], b[0]+b[2], b[1]+b[3]
	return FromPolygon([]float64{x0, y0, x0, y1, x1, y1, x1, y0}, h, w)
}

// A polygon is drawn on a grid of fine steps, 5 to a pixel. The edges' points are whole
// steps, one for each step along the longer axis of an edge. A column of pixels begins
// or ends a run where the outline crosses from fine column 5x+2 to 5x+3, the middle of
// pixel x.
const fine = 5

// rasterize returns the runs of a polygon.
func rasterize(xy []float64, h, w int) []uint32 {
	if h == 0 || w == 0 {
		return []uint32{0}
	}
	o := outline{h: h, w: w, at: make([]uint32, 0, 64)}
	k := len(xy) / 2
	x0, y0 := steps(xy[2*k-2]), steps(xy[2*k-1])
	for i := range k {
		x, y := steps(xy[2*i]), steps(xy[2*i+1])
		o.edge(x0, y0, x, y)
		x0, y0 = x, y
	}
	return o.runs()
}

// steps is the whole step nearest to a coordinate; negative ones are rounded towards 0
// after the half is added, as C does.
func steps(v float64) int { return int(float64(fine*v) + .5) }

// outline collects where the columns of an image [h,w] cross an outline, as numbers of
// pixels in the order of the runs.
type outline struct {
	h, w int
	at   []uint32
}

// edge adds the crossings of the edge between two points.
func (o *outline) edge(x0, y0, x1, y1 int) {
	dx, dy := x1-x0, y1-y0
	switch {
	case abs(dx) >= abs(dy):
		if dx < 0 {
			x0, y0, x1, y1 = x1, y1, x0, y0
		}
		o.flat(x0, y0, x1, y1)
	default:
		if dy < 0 {
			x0, y0, x1, y1 = x1, y1, x0, y0
		}
		o.steep(x0, y0, x1, y1)
	}
}

// flat adds the crossings of an edge that is at least as wide as it is high. It goes
// right, one point for each fine column.
func (o *outline) flat(x0, y0, x1, y1 int) {
	slope := float64(y1-y0) / float64(x1-x0)
	lower := 0 // which point of a crossing has the lower y
	if y1 < y0 {
		lower = 1
	}
	for column := firstColumn(x0); column < o.w; column++ {
		x := fine*column + 2
		if x >= x1 {
			break
		}
		o.cross(column, along(y0, slope, x-x0+lower))
	}
}

// steep adds the crossings of an edge that is higher than it is wide. It goes down, one
// point for each fine row.
func (o *outline) steep(x0, y0, x1, y1 int) {
	if x0 == x1 {
		return
	}
	slope := float64(x1-x0) / float64(y1-y0)
	for column := firstColumn(min(x0, x1)); column < o.w; column++ {
		x := fine*column + 2
		if x >= max(x0, x1) {
			break
		}
		// Before row t the points are on one side of the crossing, from t on on the other.
		beyond := func(t int) bool {
			if slope > 0 {
				return along(x0, slope, t) > x
			}
			return along(x0, slope, t) <= x
		}
		t := int((float64(x-x0) + .5) / slope) // t itself, or one before
		for !beyond(t) {
			t++
		}
		o.cross(column, y0+t-1)
	}
}

// along is the fine step, on the shorter axis, of the point at t of an edge.
func along(from int, slope float64, t int) int {
	return int(float64(from) + float64(slope*float64(t)) + .5)
}

// firstColumn is the first column of pixels whose middle is not left of fine column x.
func firstColumn(x int) int {
	if x <= 2 {
		return 0
	}
	return (x - 2 + fine - 1) / fine
}

// cross adds a crossing of a column at fine row y: the first pixel whose middle is not
// above it, or the end of the column.
func (o *outline) cross(column, y int) {
	row := 0
	if y > 2 {
		row = min((y-2+fine-1)/fine, o.h)
	}
	o.at = append(o.at, uint32(column*o.h+row))
}

// runs turns the crossings into runs: each enters or leaves the mask, so that two at
// the same pixel cancel out.
func (o *outline) runs() []uint32 {
	slices.Sort(o.at)
	counts := make([]uint32, 0, len(o.at)+1)
	var last uint32
	for i := 0; i < len(o.at); i++ {
		if i+1 < len(o.at) && o.at[i] == o.at[i+1] {
			i++
			continue
		}
		counts = append(counts, o.at[i]-last)
		last = o.at[i]
	}
	if rest := uint32(o.h*o.w) - last; rest > 0 {
		counts = append(counts, rest)
	}
	return counts
}

func abs(x int) int { return max(x, -x) }
