package onnx

// Detect says how the values of a detector's graph become boxes and masks. A
// checkpoint holds little of it: most are constants of the code that trained it, and
// torchvision and Detectron2 differ in a dozen of them. Sizes are pixels of the
// network's input; boxes are x1, y1, x2, y2.
//
// A detector's graph has three parts, which the named values separate: the trunk, from
// the images to the values of Levels; what chooses boxes; and, of two-stage detectors,
// the heads, from Box.Features and Mask.Features on.
type Detect struct {
	Kind string `json:"kind"` // "rcnn", with Proposals, RoI and Box, or "retinanet"
	// Conventions is the project whose code these are the defaults of: "torchvision"
	// or "detectron2".
	Conventions string           `json:"conventions,omitempty"`
	Images      DetectImages     `json:"images"`
	Levels      []DetectLevel    `json:"levels"` // fine to coarse
	Anchors     DetectAnchors    `json:"anchors"`
	Proposals   *DetectProposals `json:"proposals,omitempty"`
	RoI         *DetectRoI       `json:"roi,omitempty"`
	Box         *DetectBox       `json:"box,omitempty"`
	Mask        *DetectMask      `json:"mask,omitempty"` // nil: no masks
	Coder       [4]float64       `json:"coder"`          // weights of dx, dy, dw, dh of the detected boxes
	Clamp       float64          `json:"clamp"`          // the largest dw and dh, in both stages
	Test        DetectTest       `json:"test"`

	// BatchNormEps is what batch norms add to variances. Background says where the
	// checkpoint has the background among the outputs of a two-stage detector, "first"
	// or "last"; the graph always has it first.
	BatchNormEps float64 `json:"batch_norm_eps"`
	Background   string  `json:"background,omitempty"`

	// Deployed is of a file that holds the whole detector, with what chooses boxes in
	// its graph; nil: the graph has gaps between its parts.
	Deployed *DetectDeployed `json:"deployed,omitempty"`

	// Classes are those that can be detected, in the order of the outputs. Of a
	// two-stage detector output 0 is the background, and output i+1 is Classes[i]; of
	// a one-stage detector, which has none, output i is Classes[i].
	Classes []DetectClass `json:"classes"`
}

// DetectClass is a class of a detector. An unused output, as several of COCO's 91
// have, has the name "".
type DetectClass struct {
	ID   int64  `json:"id"` // category_id in COCO files
	Name string `json:"name"`
}

// DetectImages says how an image of any size becomes the network's input. It is scaled
// by min(MinSize/shorter side, MaxSize/longer side), and padded with zeros, in
// normalised values, right and below to a multiple of Multiple.
type DetectImages struct {
	MinSize   int    `json:"min_size"`
	MaxSize   int    `json:"max_size"`
	Antialias bool   `json:"antialias"` // of the 8-bit image, as Pillow does; else of normalised values, by interpolation alone
	Rounding  string `json:"rounding"`  // of the sides: "floor" or "half", which is floor(x+0.5)
	Multiple  int    `json:"multiple"`

	// Value is that of the graph which holds the images in normalised values: zeros
	// of the padding belong there. Where the graph does not normalise, it is the input.
	Value string `json:"value"`

	// Inside says that the graph itself scales: it takes images of any size, and its
	// boxes are in their pixels.
	Inside bool `json:"inside"`
}

// DetectLevel is a level of the pyramid of feature maps, [N,Channels,H,W], and what is
// computed of it for each of the A anchors of each position.
type DetectLevel struct {
	Value    string `json:"value"`
	Stride   int    `json:"stride"`
	Channels int    `json:"channels"`
	Logits   string `json:"logits"` // [N,A,H,W]; of a one-stage detector [N,A*K,H,W], with K classes innermost
	Deltas   string `json:"deltas"` // [N,A*4,H,W]
}

// DetectAnchors are the boxes at each position of a level: for each ratio of height to
// width each size, with width size/sqrt(ratio) and height size*sqrt(ratio), centred at
// (x*stride, y*stride). Rounded says that the corners, relative to the centre, are
// rounded to integers, halves to even.
type DetectAnchors struct {
	Sizes   [][]float64 `json:"sizes"` // of each level
	Ratios  []float64   `json:"ratios"`
	Rounded bool        `json:"rounded"`

	// SizesFirst changes the order: for each size each ratio.
	SizesFirst bool `json:"sizes_first"`

	// FixedStride says that positions are Levels' Stride apart; else they are the
	// padded input's size divided by the map's, rounded down, apart.
	FixedStride bool `json:"fixed_stride"`
}

// DetectProposals says how the first stage chooses boxes for the second: of each level
// the PreNMS of the highest logits, clipped to the image, those with sides of at least
// MinSide, then those that NMS leaves, and the PostNMS best of all levels.
type DetectProposals struct {
	Coder   [4]float64 `json:"coder"`
	PreNMS  int        `json:"pre_nms"`
	NMS     float64    `json:"nms"`
	PostNMS int        `json:"post_nms"`
	MinSide float64    `json:"min_side"`
}

// DetectRoI says how RoIAlign takes the features of a box: from the level
// floor(4 + log2(sqrt(area)/224)), of those in Levels where level 2 has stride 4.
type DetectRoI struct {
	Levels   int  `json:"levels"`   // number of the finest levels that it takes from
	Aligned  bool `json:"aligned"`  // coordinates are shifted by half a pixel
	Sampling int  `json:"sampling"` // samples of a bin in each direction; 0: as many as a bin has pixels

	// Epsilon is added where rounding would decide: behind the logarithm, or within
	// it where EpsilonInside is set.
	Epsilon       float64 `json:"epsilon"`
	EpsilonInside bool    `json:"epsilon_inside"`
}

// DetectBox is the box head: Features [R,C,Size,Size] of R boxes, to Logits [R,K+1] and
// Deltas [R,(K+1)*4].
type DetectBox struct {
	Size     int    `json:"size"`
	Features string `json:"features"`
	Logits   string `json:"logits"`
	Deltas   string `json:"deltas"`
}

// DetectMask is the mask head: Features [R,C,Size,Size] of R boxes, to Logits
// [R,K+1,Out,Out].
type DetectMask struct {
	Size     int    `json:"size"`
	Out      int    `json:"out"`
	Features string `json:"features"`
	Logits   string `json:"logits"`

	// Paste is how a mask within a box becomes one of the image: "torchvision" (padded
	// by a pixel, resized to the box of integer corners) or "detectron2" (sampled at
	// the centres of the image's pixels).
	Paste string `json:"paste"`
}

// DetectTest says which boxes are kept. Scores must be above Score, sides at least
// MinSide, and of two boxes of one class whose IoU is above NMS the better one stays.
type DetectTest struct {
	Score   float64 `json:"score"`
	NMS     float64 `json:"nms"`
	Keep    int     `json:"keep"`            // the best of an image
	TopK    int     `json:"top_k,omitempty"` // before NMS, of each level of a one-stage detector
	MinSide float64 `json:"min_side"`

	// ClipLast says that boxes of a one-stage detector are clipped to the image, and
	// those with shorter sides left out, after everything else and not before NMS.
	ClipLast bool `json:"clip_last,omitempty"`
}

// DetectDeployed says what the outputs of a deployed detector are: boxes, labels,
// scores and masks, whatever the names of its other values. Images are RGB in [0,1].
type DetectDeployed struct {
	Masks string `json:"masks,omitempty"` // "box": [D,1,Out,Out], within the boxes; "image": [D,1,H,W]; "": none
	Batch int    `json:"batch,omitempty"` // 0: one image, outputs [D,...]; else up to Batch of them, outputs [N,Keep,...], and num [N]

	Core DetectCore `json:"core"`
}

// DetectCore is what a deployed detector no longer says of the graph that it was made
// of: the outputs, and what its input takes, as Spec says it of its own.
type DetectCore struct {
	Outputs    []string   `json:"outputs"`
	Range      [2]float64 `json:"range"`
	Channels   string     `json:"channels"`
	Mean       []float64  `json:"mean,omitempty"`
	Std        []float64  `json:"std,omitempty"`
	Clamp      []float64  `json:"clamp,omitempty"`
	Normalized bool       `json:"normalized"`
}
