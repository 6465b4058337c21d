// Package foreign runs object detectors that other tools exported to ONNX.
//
// Such a file says little of what its outputs mean, and nothing of how its author
// prepared images. [Recognize] concludes from the shapes of the outputs, from the
// nodes in front of them, and from the metadata of Ultralytics which [Form] it has,
// and lists in words what it knows and what it assumes. Where two readings are
// possible, or where something is missing without which there are no boxes, such as
// anchors, it says so in an error: a wrong answer without a word would be worse than
// none. [As] takes a form from somebody who knows it.
//
// [Model.Open] gives a detect.Detector that does what the package of the model's
// author does before and after the network: it scales images by the same arithmetic,
// bit for bit, and keeps the same boxes.
package foreign

// Form is what the outputs of a detector hold. N is the number of images, K that of
// classes, M that of mask prototypes; 0 without masks.
type Form string

const (
	// YOLOv5 has rows [N,boxes,5+K+M] of centre, width and height in pixels of the input, objectness,
	// and a score of each class, which objectness multiplies.
	YOLOv5 Form = "yolov5"
	// YOLOv8 has columns [N,4+K+M,boxes] of centre, width and height in pixels of the input, and
	// a score of each class. YOLO11 and the models of Ultralytics after it have the same.
	YOLOv8 Form = "yolov8"
	// YOLOv8Rows is YOLOv8 with rows [N,boxes,4+K+M].
	YOLOv8Rows Form = "yolov8-rows"
	// EndToEnd has rows [N,boxes,6+M] of x1, y1, x2, y2 in pixels of the input, score and
	// class, among which the graph has chosen already. YOLOv10, YOLO26 and exports of
	// Ultralytics with nms=True have it.
	EndToEnd Form = "end-to-end"
	// YOLOX has rows [N,boxes,5+K] as YOLOv5 has, of images in BGR and [0,255].
	YOLOX Form = "yolox"
	// YOLOXRaw is YOLOX without decoding: centres are relative to cells, and sizes are
	// logarithms. It is what YOLOX exports by default.
	YOLOXRaw Form = "yolox-raw"
	// RTDETR has rows [N,boxes,4+K] of centre, width and height as fractions of the input, and a score of each
	// class. Ultralytics exports it.
	RTDETR Form = "rtdetr"
	// RTDETRChosen has rows [N,boxes,6] of centre, width and height as RTDETR has, score and
	// class, among which the graph has chosen already. Newer versions of Ultralytics
	// export it.
	RTDETRChosen Form = "rtdetr-chosen"
	// DETR has logits [N,boxes,K+1], for a softmax whose last class is the background, and
	// boxes [N,boxes,4] of centre, width and height as fractions of the input.
	DETR Form = "detr"
	// DETRSigmoid is DETR with logits [N,boxes,K], each for a sigmoid. RT-DETR and Deformable
	// DETR have it.
	DETRSigmoid Form = "detr-sigmoid"
	// Torchvision has boxes [boxes,4] of x1, y1, x2, y2 in pixels of the given image, labels [boxes]
	// from 1 on, scores [boxes] and perhaps masks [boxes,1,H,W].
	Torchvision Form = "torchvision"
	// TensorFlow is that of TensorFlow's Object Detection API: detection_boxes [N,boxes,4] of y1,
	// x1, y2, x2 as fractions of the image, detection_classes and detection_scores [N,boxes],
	// and num_detections [N].
	TensorFlow Form = "tensorflow"
)

// Forms are all that are known.
var Forms = []Form{YOLOv5, YOLOv8, YOLOv8Rows, EndToEnd, YOLOX, YOLOXRaw, RTDETR, RTDETRChosen, DETR, DETRSigmoid, Torchvision, TensorFlow}
