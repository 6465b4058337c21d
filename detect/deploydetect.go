package detect

import (
	"strconv"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// found are the detections of an image: D of them, with falling scores.
type found struct {
	boxes   string // [D,4], in pixels of the network's input
	classes string // [D]: of Detect.Classes
	scores  string // [D]
}

// outputs builds what comes behind the trunk.
func (b *deployment) outputs() {
	var all []found
	if b.d.Box == nil {
		for i := range b.images {
			all = append(all, b.oneStage(i))
		}
	} else {
		all = b.twoStages()
	}
	masks := b.masks(all)
	b.scope = "output/"
	if b.d.Deployed.Batch == 0 {
		b.single(all[0], masks)
	} else {
		b.batch(all, masks)
	}
}

// twoStages proposes boxes, and chooses the detections of what the head says of them.
func (b *deployment) twoStages() []found {
	boxes := make([]string, b.images)
	for i := range boxes {
		boxes[i] = b.propose(i)
	}
	b.scope = "box/"
	r := b.align(b.concat(0, boxes...), b.imagesOf(boxes), b.d.Box.Size, b.d.Box.Features)
	scores := b.node("Softmax", []string{b.d.Box.Logits}, onnx.Int("axis", 1))
	columns := len(b.d.Classes) + 1
	scores = b.slice(scores, 1, 1, columns)
	good := b.op("NonZero", b.op("Greater", scores, b.floats(b.d.Test.Score))) // [2,candidates]
	row, class := b.flat(b.slice(good, 0, 0, 1)), b.flat(b.slice(good, 0, 1, 2))
	score := b.node("GatherND", []string{scores, b.node("Transpose", []string{good}, onnx.Ints("perm", 1, 0))})
	delta := b.op("Add", b.op("Mul", row, b.ints(int64(columns))), b.op("Add", class, b.ints(1)))
	deltas := b.gather(b.reshape(b.d.Box.Deltas, -1, 4), delta, 0)
	moved := b.decode(b.gather(r.boxes, row, 0), deltas, b.d.Coder)
	all := make([]found, b.images)
	for i := range all {
		b.scope = "detect" + strconv.Itoa(i) + "/"
		mine := func(x string) string { return x }
		if b.images > 1 {
			rows := b.where(b.op("Equal", b.gather(r.images, row, 0), b.ints(int64(i))))
			mine = func(x string) string { return b.gather(x, rows, 0) }
		}
		all[i] = b.finish(mine(moved), mine(class), mine(score), "")
	}
	return all
}

// imagesOf numbers the boxes of each image by their image.
func (b *deployment) imagesOf(boxes []string) string {
	numbers := make([]string, len(boxes))
	for i, x := range boxes {
		numbers[i] = b.op("Expand", b.ints(int64(i)), b.size(x, 0))
	}
	return b.concat(0, numbers...)
}

// oneStage chooses the detections of an image, as SelectOneStage does.
func (b *deployment) oneStage(image int) found {
	c := b.levels(image, b.d.Test.TopK)
	scores := b.op("Sigmoid", c.logits)
	good := b.op("Greater", scores, b.floats(b.d.Test.Score))
	if !b.d.Test.ClipLast {
		return b.finish(b.decode(c.anchors, c.deltas, b.d.Coder), c.groups, scores, good)
	}
	upper, lower := b.moved(c.anchors, c.deltas, b.d.Coder)
	t := b.d.Test
	rows, best := b.suppress(b.concat(1, upper, lower), scores, c.groups, good, len(b.d.Classes), t.NMS, t.Keep)
	boxes := b.concat(1, b.clipped(b.gather(upper, rows, 0)), b.clipped(b.gather(lower, rows, 0)))
	large := b.where(b.op("GreaterOrEqual", b.shortest(boxes), b.floats(t.MinSide)))
	return found{b.gather(boxes, large, 0), b.gather(b.gather(c.groups, rows, 0), large, 0), b.gather(best, large, 0)}
}

// finish chooses the detections among candidates, where keep is true, as Select
// does.
func (b *deployment) finish(boxes, classes, scores, keep string) found {
	t := b.d.Test
	if t.MinSide > 0 {
		large := b.op("GreaterOrEqual", b.shortest(boxes), b.floats(t.MinSide))
		if keep != "" {
			large = b.op("And", keep, large)
		}
		keep = large
	}
	rows, best := b.suppress(boxes, scores, classes, keep, len(b.d.Classes), t.NMS, t.Keep)
	return found{b.gather(boxes, rows, 0), b.gather(classes, rows, 0), best}
}

// toImage scales boxes to the given image.
func (b *deployment) toImage(boxes string) string {
	if b.ratios == "" {
		return boxes
	}
	return b.op("Mul", boxes, b.ratios)
}

// label is the label of each class.
func (b *deployment) label(classes string) string {
	return b.op("Add", classes, b.ints(int64(b.d.Label(0))))
}

// single makes the outputs of one image.
func (b *deployment) single(f found, masks string) {
	b.named("boxes", "Identity", []string{b.toImage(f.boxes)})
	b.named("labels", "Identity", []string{b.label(f.classes)})
	b.named("scores", "Identity", []string{f.scores})
	if masks != "" {
		b.named("masks", "Identity", []string{masks})
	}
}

// batch makes the outputs of several images, each padded to Keep rows. masks has the
// rows of all images, one image after the other.
func (b *deployment) batch(all []found, masks string) {
	var boxes, labels, scores, nums, padded []string
	b.present = b.op("Range", b.scalar(0), b.op("Squeeze", b.count), b.scalar(1))
	at := b.ints(0)
	for _, f := range all {
		n := b.size(f.scores, 0)
		nums = append(nums, n)
		boxes = append(boxes, b.rows(b.toImage(f.boxes), n, 2))
		labels = append(labels, b.rows(b.label(f.classes), n, 1))
		scores = append(scores, b.rows(f.scores, n, 1))
		if masks != "" {
			end := b.op("Add", at, n)
			padded = append(padded, b.rows(b.op("Slice", masks, at, end, b.ints(0)), n, 4))
			at = end
		}
	}
	b.given("boxes", boxes)
	b.given("labels", labels)
	b.given("scores", scores)
	b.given("num", nums)
	if masks != "" {
		b.given("masks", padded)
	}
}

// rows pads a value [n,...] of a rank with zeros to [1,Keep,...].
func (b *deployment) rows(x, n string, rank int) string {
	pads := make([]int64, rank)
	rest := b.op("Sub", b.ints(int64(b.d.Test.Keep)), n)
	parts := []string{b.ints(pads...), rest}
	if rank > 1 {
		parts = append(parts, b.ints(pads[1:]...))
	}
	return b.unsqueeze(b.op("Pad", x, b.concat(0, parts...)), 0)
}

// given makes an output of the values of the images that are there. More images than
// the graph tells apart are an error of Gather.
func (b *deployment) given(name string, images []string) {
	b.named(name, "Gather", []string{b.concat(0, images...), b.present}, onnx.Int("axis", 0))
}

// outputInfo describes the outputs.
func (b *deployment) outputInfo() []*pb.ValueInfoProto {
	batch := b.d.Deployed.Batch > 0
	out := func(name string, t pb.TensorProto_DataType, rest ...*pb.TensorShapeProto_Dimension) *pb.ValueInfoProto {
		dims := []*pb.TensorShapeProto_Dimension{onnx.Named("D")}
		if batch {
			dims = []*pb.TensorShapeProto_Dimension{onnx.Named("N"), onnx.Sized(b.d.Test.Keep)}
		}
		return onnx.NewValue(name, t, append(dims, rest...)...)
	}
	list := []*pb.ValueInfoProto{
		out("boxes", pb.TensorProto_FLOAT, onnx.Sized(4)), out("labels", pb.TensorProto_INT64), out("scores", pb.TensorProto_FLOAT),
	}
	switch b.d.Deployed.Masks {
	case MasksBox:
		list = append(list, out("masks", pb.TensorProto_FLOAT, onnx.Sized(1), onnx.Sized(b.d.Mask.Out), onnx.Sized(b.d.Mask.Out)))
	case MasksImage:
		list = append(list, out("masks", pb.TensorProto_FLOAT, onnx.Sized(1), onnx.Named("H"), onnx.Named("W")))
	}
	if batch {
		list = append(list, onnx.NewValue("num", pb.TensorProto_INT64, onnx.Named("N")))
	}
	return list
}

// ordered sorts nodes so that each comes behind those that it reads, and otherwise
// leaves their order as it is.
func ordered(nodes []*pb.NodeProto) []*pb.NodeProto {
	producer := map[string]*pb.NodeProto{}
	for _, n := range nodes {
		for _, o := range n.Output {
			producer[o] = n
		}
	}
	var out []*pb.NodeProto
	done := map[*pb.NodeProto]bool{}
	var visit func(n *pb.NodeProto)
	visit = func(n *pb.NodeProto) {
		if n == nil || done[n] {
			return
		}
		done[n] = true
		for _, in := range n.Input {
			visit(producer[in])
		}
		out = append(out, n)
	}
	for _, n := range nodes {
		visit(n)
	}
	return out
}
