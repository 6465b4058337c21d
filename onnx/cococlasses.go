package onnx

// COCOClasses are the 80 classes of Microsoft COCO's objects, with the numbers that
// its files give them: 1 to 90, with gaps.
func COCOClasses() []DetectClass {
	out := make([]DetectClass, 0, 80)
	for i, name := range cocoNames {
		if name != "" {
			out = append(out, DetectClass{ID: int64(i + 1), Name: name})
		}
	}
	return out
}

// cocoNames are the names of COCO's categories 1 to 90; "" is one that the published
// annotations do not have.
var cocoNames = [90]string{
	"person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
	"fire hydrant", "", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep",
	"cow", "elephant", "bear", "zebra", "giraffe", "", "backpack", "umbrella", "", "",
	"handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove",
	"skateboard", "surfboard", "tennis racket", "bottle", "", "wine glass", "cup", "fork", "knife", "spoon",
	"bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut",
	"cake", "chair", "couch", "potted plant", "bed", "", "dining table", "", "", "toilet",
	"", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster",
	"sink", "refrigerator", "", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
}
