package train

import (
	"github.com/robust-transfer/rtx/onnx"
)

// Conventions are what a project's code does in training beyond what Spec.Detect says,
// which is what it does in inference.
type Conventions struct {
	// Anchors are matched with objects, and of each image AnchorSamples of them are
	// sampled, AnchorPositives of these at most of objects. One-stage detectors learn
	// of all anchors that are matched or background.
	Anchors         Matcher
	AnchorSamples   int
	AnchorPositives int
	AnchorBeta      float64 // of the smooth L1 loss of deltas; 0: L1

	// FixedNormalizer says that the losses of sampled anchors are divided by
	// AnchorSamples times the number of images; else by the number that was sampled.
	// Those of one-stage detectors are divided by a running mean of the number of anchors
	// of objects in a batch, which begins with 100 and decays by 0.9 in a step; else of
	// each image by its own number.
	FixedNormalizer bool

	// PreNMS and PostNMS are the numbers of proposals before and after NMS, as in
	// onnx.DetectProposals.
	PreNMS, PostNMS int

	// Proposals and the objects themselves are matched with objects by RoIs, and of
	// each image RoISamples are sampled, RoIPositives of these at most of objects.
	RoIs         Matcher
	RoISamples   int
	RoIPositives int
	RoIBeta      float64

	// HardMasks says that a mask is cut out and scaled to pixels of 0 and 1, as Detectron2
	// does with bitmaps (polygons it rasterises anew); else to the shares of pixels that it
	// covers.
	HardMasks bool

	// FocalAlpha and FocalGamma are of the loss of one-stage detectors.
	FocalAlpha, FocalGamma float64
}

// Matcher says which anchors or proposals belong to an object: those whose IoU with
// one is at least High. Those below Low are background; what is between is left out.
// LowQuality adds for each object the anchors of the highest IoU with it.
type Matcher struct {
	High, Low  float64
	LowQuality bool
}

// ConventionsOf returns the conventions of the project that Spec.Detect names:
// torchvision 0.29, or Detectron2 0.6.
func ConventionsOf(d *onnx.Detect) Conventions {
	c := Conventions{
		Anchors: Matcher{High: .7, Low: .3, LowQuality: true}, AnchorSamples: 256, AnchorPositives: 128, AnchorBeta: 1. / 9,
		PreNMS: 2000, PostNMS: 2000,
		RoIs: Matcher{High: .5, Low: .5}, RoISamples: 512, RoIPositives: 128, RoIBeta: 1. / 9,
		FocalAlpha: .25, FocalGamma: 2,
	}
	if d.Kind == "retinanet" {
		c.Anchors, c.AnchorBeta = Matcher{High: .5, Low: .4, LowQuality: true}, 0
	}
	if d.Conventions == "detectron2" {
		c.AnchorBeta, c.RoIBeta, c.FixedNormalizer, c.PostNMS, c.HardMasks = 0, 0, true, 1000, true
	}
	return c
}
