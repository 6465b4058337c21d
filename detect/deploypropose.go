package detect

import (
	"math"
	"math/bits"
	"strconv"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// lowest is a score that every number of a network is above.
const lowest = -math.MaxFloat32

// chosen are the best anchors of all levels of an image, level by level: M of them.
type chosen struct {
	logits  string // [M]
	groups  string // [M]: the level, or the class
	anchors string // [M,4]
	deltas  string // [M,4]
}

// levels chooses the most anchors with the highest logits of each level of an image,
// as Propose and SelectOneStage do.
func (b *deployment) levels(image, most int) chosen {
	var parts [4][]string
	for l := range b.d.Levels {
		b.scope = strconv.Itoa(image) + "/level" + strconv.Itoa(l) + "/"
		c := b.level(image, l, most)
		for i, part := range []string{c.logits, c.groups, c.anchors, c.deltas} {
			parts[i] = append(parts[i], part)
		}
	}
	b.scope = strconv.Itoa(image) + "/"
	return chosen{b.concat(0, parts[0]...), b.concat(0, parts[1]...), b.concat(0, parts[2]...), b.concat(0, parts[3]...)}
}

// level finds the anchors of the best logits by their place in the map, so that no
// others are computed.
func (b *deployment) level(image, l, most int) chosen {
	level := b.d.Levels[l]
	height, width := b.size(level.Logits, 2), b.size(level.Logits, 3)
	n := b.op("Mul", height, width)
	logits, index := b.best(b.flat(b.ofImage(level.Logits, image)), most)
	channel, place := b.op("Div", index, n), b.op("Mod", index, n)
	anchor, group := channel, ""
	if b.d.Box != nil {
		group = b.op("Expand", b.ints(int64(l)), b.op("Shape", index))
	} else {
		classes := b.ints(int64(len(b.d.Classes)))
		anchor, group = b.op("Div", channel, classes), b.op("Mod", channel, classes)
	}
	first := b.op("Add", b.op("Mul", b.op("Mul", anchor, b.ints(4)), n), place)
	each := b.op("Add", b.unsqueeze(first, 1), b.op("Mul", b.ints(0, 1, 2, 3), n))
	deltas := b.gather(b.flat(b.ofImage(level.Deltas, image)), each, 0)

	var bases []float64
	for _, base := range anchorBases(b.d.Anchors, l) {
		for _, x := range base {
			bases = append(bases, float64(x))
		}
	}
	x := b.op("Mul", b.op("Mod", place, width), b.stride(l, b.paddedWidth, width))
	y := b.op("Mul", b.op("Div", place, width), b.stride(l, b.paddedHeight, height))
	x, y = b.unsqueeze(x, 1), b.unsqueeze(y, 1)
	shift := b.cast(b.concat(1, x, y, x, y), pb.TensorProto_FLOAT)
	return chosen{logits, group, b.op("Add", shift, b.gather(b.table(4, bases...), anchor, 0)), deltas}
}

// ofImage is the part of a value [N,...] of an image: of length 0 where there are fewer
// images.
func (b *deployment) ofImage(x string, image int) string {
	if b.images == 1 {
		return x
	}
	return b.slice(x, 0, image, image+1)
}

// stride is the distance of anchors.
func (b *deployment) stride(level int, padded, size string) string {
	if b.d.Anchors.FixedStride {
		return b.ints(int64(b.d.Levels[level].Stride))
	}
	return b.op("Div", padded, size)
}

// decode moves boxes [M,4] by deltas [M,4], as box.Coder does, and clips them.
func (b *deployment) decode(boxes, deltas string, weights [4]float64) string {
	low, high := b.moved(boxes, deltas, weights)
	return b.concat(1, b.clipped(low), b.clipped(high))
}

// clipped is the part of corners [M,2] in the image.
func (b *deployment) clipped(corners string) string {
	return b.op("Max", b.op("Min", corners, b.limits), b.floats(0))
}

// moved moves boxes [M,4] by deltas [M,4]. It returns the upper left and the lower right
// corners, [M,2].
func (b *deployment) moved(boxes, deltas string, weights [4]float64) (upper, lower string) {
	low, high := b.slice(boxes, 1, 0, 2), b.slice(boxes, 1, 2, 4)
	half := b.floats(0.5)
	size := b.op("Sub", high, low)
	centre := b.op("Add", low, b.op("Mul", size, half))
	move := b.op("Div", b.slice(deltas, 1, 0, 2), b.floats(weights[:2]...))
	grow := b.op("Min", b.op("Div", b.slice(deltas, 1, 2, 4), b.floats(weights[2:]...)), b.floats(b.d.Clamp))
	centre = b.op("Add", b.op("Mul", move, size), centre)
	side := b.op("Mul", b.op("Mul", b.op("Exp", grow), size), half)
	return b.op("Sub", centre, side), b.op("Add", centre, side)
}

// shortest is the shorter side of each box, [M].
func (b *deployment) shortest(boxes string) string {
	sides := b.op("Sub", b.slice(boxes, 1, 2, 4), b.slice(boxes, 1, 0, 2))
	return b.node("ReduceMin", []string{sides}, onnx.Ints("axes", 1), onnx.Int("keepdims", 0))
}

// suppress is non-maximum suppression within groups, of boxes [M,4] with scores [M]
// and groups [M], where keep [M] is true, "" for everywhere. At most most stay, with
// falling scores; it returns their indices and scores.
func (b *deployment) suppress(boxes, scores, groups, keep string, number int, threshold float64, most int) (indices, best string) {
	all := make([]int64, number)
	for i := range all {
		all[i] = int64(i)
	}
	mine := b.op("Equal", b.unsqueeze(groups, 0), b.reshape(b.ints(all...), int64(number), 1))
	if keep != "" {
		mine = b.op("And", mine, b.unsqueeze(keep, 0))
	}
	table := b.op("Where", mine, b.unsqueeze(scores, 0), b.floats(lowest))
	chosen := b.op("NonMaxSuppression", b.unsqueeze(boxes, 0), b.unsqueeze(table, 0), b.ints(int64(most)), b.floats(threshold), b.floats(lowest))
	indices = b.column(chosen, 2)
	best, order := b.best(b.gather(scores, indices, 0), most)
	return b.gather(indices, order, 0), best
}

// propose chooses the proposals of an image, [R,4], as Propose does.
func (b *deployment) propose(image int) string {
	p := b.d.Proposals
	c := b.levels(image, p.PreNMS)
	boxes := b.decode(c.anchors, c.deltas, p.Coder)
	keep := b.op("GreaterOrEqual", b.shortest(boxes), b.floats(p.MinSide))
	indices, _ := b.suppress(boxes, c.logits, c.groups, keep, len(b.d.Levels), p.NMS, p.PostNMS)
	b.gather(boxes, indices, 0)
	return b.called("proposals_" + strconv.Itoa(image))
}

// regions are boxes of all images in the order of the levels that their features are
// taken from.
type regions struct {
	boxes  string // [R,4]
	images string // [R]: of which image each box is
	order  string // [R]: the rows that they were before
}

// align takes the features of boxes from their levels, as RoIAlign does, into a value of
// a name.
func (b *deployment) align(boxes, images string, size int, output string) regions {
	r := b.d.RoI
	mode := "output_half_pixel"
	if r.Aligned {
		mode = "half_pixel"
	}
	level := b.roiLevel(boxes)
	var order, features []string
	for l := range r.Levels {
		rows := b.where(b.op("Equal", level, b.ints(int64(l))))
		order = append(order, rows)
		features = append(features, b.node("RoiAlign",
			[]string{b.d.Levels[l].Value, b.gather(boxes, rows, 0), b.gather(images, rows, 0)},
			onnx.String("coordinate_transformation_mode", mode), onnx.String("mode", "avg"),
			onnx.Int("output_height", int64(size)), onnx.Int("output_width", int64(size)),
			onnx.Int("sampling_ratio", int64(r.Sampling)), onnx.Float("spatial_scale", 1/float32(b.d.Levels[l].Stride))))
	}
	b.named(output, "Concat", features, onnx.Int("axis", 0))
	all := b.concat(0, order...)
	return regions{b.gather(boxes, all, 0), b.gather(images, all, 0), all}
}

// roiLevel is the level of each box, as func RoILevel says.
func (b *deployment) roiLevel(boxes string) string {
	r, finest := b.d.RoI, bits.TrailingZeros(uint(b.d.Levels[0].Stride))
	sides := b.op("Sub", b.slice(boxes, 1, 2, 4), b.slice(boxes, 1, 0, 2))
	x := b.op("Div", b.op("Sqrt", b.op("Mul", b.column(sides, 0), b.column(sides, 1))), b.floats(224))
	if r.EpsilonInside {
		x = b.op("Add", x, b.floats(r.Epsilon))
	}
	x = b.op("Add", b.op("Div", b.op("Log", x), b.floats(math.Ln2)), b.floats(4))
	if !r.EpsilonInside {
		x = b.op("Add", x, b.floats(r.Epsilon))
	}
	x = b.op("Sub", b.op("Floor", x), b.floats(float64(finest)))
	x = b.op("Max", b.op("Min", x, b.floats(float64(r.Levels-1))), b.floats(0))
	return b.cast(x, pb.TensorProto_INT64)
}
