package detect

import (
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// masks are the masks of all detections, [D,1,...], one image after the other; ""
// where the detector has none.
func (b *deployment) masks(all []found) string {
	m := b.d.Mask
	if m == nil {
		return ""
	}
	b.scope = "mask/"
	var boxes, classes []string
	for _, f := range all {
		boxes, classes = append(boxes, f.boxes), append(classes, f.classes)
	}
	box := b.concat(0, boxes...)
	r := b.align(box, b.imagesOf(boxes), m.Size, m.Features)
	count := b.size(r.order, 0)
	_, back := b.sorted(r.order, count, false) // the row of each detection in the order of the levels
	channel := b.op("Add", b.gather(b.concat(0, classes...), r.order, 0), b.ints(1))
	row := b.op("Range", b.scalar(0), b.op("Squeeze", count), b.scalar(1))
	at := b.concat(1, b.unsqueeze(row, 1), b.unsqueeze(channel, 1))
	probabilities := b.op("Sigmoid", b.gather(b.op("GatherND", m.Logits, at), back, 0)) // [D,Out,Out]
	if b.d.Deployed.Masks == MasksImage {
		probabilities = b.pasted(probabilities, b.toImage(box))
	}
	return b.unsqueeze(probabilities, 1)
}

// scalar is a constant int64 without dimensions.
func (g *graph) scalar(v int64) string {
	t := onnx.NewInts("", v)
	t.Dims = nil
	return g.constant(t)
}

// pasted pastes masks [D,Out,Out] into the image, as Paste does: interpolation of rows,
// then of columns, are products with matrices.
func (b *deployment) pasted(masks, boxes string) string {
	rows := b.pasteWeights(b.column(boxes, 1), b.column(boxes, 3), b.imageHeight)
	columns := b.pasteWeights(b.column(boxes, 0), b.column(boxes, 2), b.imageWidth)
	columns = b.node("Transpose", []string{columns}, onnx.Ints("perm", 0, 2, 1))
	return b.op("MatMul", b.op("MatMul", rows, masks), columns)
}

// pasteWeights are, for each box [D], what each of Out values contributes to each of the
// pixels of a side of the image, [D,length,Out]: 1 less the distance, as positions among
// the values, of the two.
func (b *deployment) pasteWeights(from, to, length string) string {
	n := b.d.Mask.Out
	pixel := b.cast(b.op("Range", b.scalar(0), b.op("Squeeze", length), b.scalar(1)), pb.TensorProto_FLOAT) // [length]
	from, to = b.unsqueeze(from, 1), b.unsqueeze(to, 1)                                                     // [D,1]
	half, one := b.floats(0.5), b.floats(1)
	var at string // [D,length]
	if b.d.Mask.Paste == pasteDetectron2 {
		at = b.op("Div", b.op("Sub", b.op("Add", pixel, half), from), b.op("Sub", to, from))
		at = b.op("Sub", b.op("Mul", at, b.floats(2)), one)
		at = b.op("Mul", b.op("Sub", b.op("Mul", b.op("Add", at, one), b.floats(float64(n))), one), half)
	} else {
		size := b.op("Mul", b.op("Mul", b.op("Sub", to, from), half), b.floats(float64(float32(n+2)/float32(n))))
		centre := b.op("Mul", b.op("Add", to, from), half)
		truncated := func(x string) string {
			return b.cast(b.cast(x, pb.TensorProto_INT64), pb.TensorProto_FLOAT)
		}
		low, high := truncated(b.op("Sub", centre, size)), truncated(b.op("Add", centre, size))
		size = b.op("Max", b.op("Add", b.op("Sub", high, low), one), one)
		at = b.op("Mul", b.op("Add", b.op("Sub", pixel, low), half), b.op("Div", b.floats(float64(n+2)), size))
		at = b.op("Sub", at, b.floats(1.5))
	}
	values := make([]float64, n)
	for i := range values {
		values[i] = float64(i)
	}
	far := b.op("Abs", b.op("Sub", b.unsqueeze(at, 2), b.floats(values...)))
	return b.op("Max", b.op("Sub", one, far), b.floats(0))
}
