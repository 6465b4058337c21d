package arch

import (
	"testing"
)

// TestDetectorNames compares names of tensors in torchvision's first versions and in
// Detectron2 with today's.
func TestDetectorNames(t *testing.T) {
	d2 := dialect{conventions: detectron2, first: 2}
	retina := dialect{conventions: detectron2, first: 3}
	for _, c := range []struct {
		names       dialect
		theirs, own string
	}{
		{dialect{}, "backbone.fpn.inner_blocks.3.weight", "backbone.fpn.inner_blocks.3.0.weight"},
		{dialect{}, "backbone.fpn.layer_blocks.0.bias", "backbone.fpn.layer_blocks.0.0.bias"},
		{dialect{}, "backbone.fpn.extra_blocks.p6.bias", "backbone.fpn.extra_blocks.p6.bias"},
		{dialect{}, "rpn.head.conv.weight", "rpn.head.conv.0.0.weight"},
		{dialect{}, "rpn.head.conv.1.0.bias", "rpn.head.conv.1.0.bias"},
		{dialect{}, "roi_heads.mask_head.mask_fcn4.weight", "roi_heads.mask_head.3.0.weight"},
		{dialect{}, "head.regression_head.conv.6.bias", "head.regression_head.conv.3.0.bias"},
		{dialect{}, "head.classification_head.conv.2.0.weight", "head.classification_head.conv.2.0.weight"},
		{dialect{}, "head.classification_head.conv.3.weight", "head.classification_head.conv.3.weight"},
		{d2, "backbone.bottom_up.stem.conv1.weight", "backbone.body.conv1.weight"},
		{d2, "backbone.bottom_up.stem.conv1.norm.running_var", "backbone.body.bn1.running_var"},
		{d2, "backbone.bottom_up.res2.0.shortcut.weight", "backbone.body.layer1.0.downsample.0.weight"},
		{d2, "backbone.bottom_up.res5.2.conv3.norm.bias", "backbone.body.layer4.2.bn3.bias"},
		{d2, "backbone.bottom_up.res4.22.conv2.weight", "backbone.body.layer3.22.conv2.weight"},
		{d2, "backbone.bottom_up.res3.0.shortcut.norm.running_mean", "backbone.body.layer2.0.downsample.1.running_mean"},
		{d2, "backbone.fpn_lateral2.weight", "backbone.fpn.inner_blocks.0.0.weight"},
		{d2, "backbone.fpn_output5.bias", "backbone.fpn.layer_blocks.3.0.bias"},
		{d2, "backbone.fpn_output5.norm.weight", "backbone.fpn.layer_blocks.3.1.weight"},
		{retina, "backbone.fpn_lateral3.weight", "backbone.fpn.inner_blocks.0.0.weight"},
		{retina, "backbone.top_block.p7.weight", "backbone.fpn.extra_blocks.p7.weight"},
		{retina, "head.cls_subnet.6.weight", "head.classification_head.conv.3.0.weight"},
		{retina, "head.bbox_subnet.0.bias", "head.regression_head.conv.0.0.bias"},
		{retina, "head.cls_score.bias", "head.classification_head.cls_logits.bias"},
		{retina, "head.bbox_pred.weight", "head.regression_head.bbox_reg.weight"},
		{d2, "proposal_generator.rpn_head.conv.weight", "rpn.head.conv.0.0.weight"},
		{d2, "proposal_generator.rpn_head.objectness_logits.bias", "rpn.head.cls_logits.bias"},
		{d2, "proposal_generator.rpn_head.anchor_deltas.weight", "rpn.head.bbox_pred.weight"},
		{d2, "roi_heads.box_head.fc1.weight", "roi_heads.box_head.fc6.weight"},
		{d2, "roi_heads.box_head.fc2.bias", "roi_heads.box_head.fc7.bias"},
		{d2, "roi_heads.box_predictor.cls_score.weight", "roi_heads.box_predictor.cls_score.weight"},
		{d2, "roi_heads.mask_head.mask_fcn1.weight", "roi_heads.mask_head.0.0.weight"},
		{d2, "roi_heads.mask_head.deconv.bias", "roi_heads.mask_predictor.conv5_mask.bias"},
		{d2, "roi_heads.mask_head.predictor.weight", "roi_heads.mask_predictor.mask_fcn_logits.weight"},
		{d2, "pixel_mean", "pixel_mean"},
	} {
		if got := c.names.own(c.theirs); got != c.own {
			t.Errorf("%s is %s, expected %s", c.theirs, got, c.own)
		}
		if got := c.names.theirs(c.own); c.names.conventions == detectron2 && got != c.theirs {
			t.Errorf("%s is %s in Detectron2, expected %s", c.own, got, c.theirs)
		}
	}
}

// TestDetectorNamesBack takes every name of the networks that Detectron2 has there and
// back.
func TestDetectorNamesBack(t *testing.T) {
	for name, first := range map[string]int{"maskrcnn_resnet101_msra_fpn": 2, "fasterrcnn_resnet50_msra_fpn": 2, "retinanet_resnet50_msra_fpn": 3} {
		d, ok := detectorNamed(name, 81)
		if !ok {
			t.Fatal(name)
		}
		b, err := d.define()
		if err != nil {
			t.Fatal(err)
		}
		names, seen := dialect{conventions: detectron2, first: first}, map[string]bool{}
		for _, p := range b.params {
			theirs := names.theirs(p.name)
			if seen[theirs] || names.own(theirs) != p.name {
				t.Errorf("%s: %s is %s and that %s", name, p.name, theirs, names.own(theirs))
			}
			seen[theirs] = true
		}
	}
}
