package arch

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// dialect translates between the names of a checkpoint's tensors and torchvision's
// present ones, which a detector's parameters have.
type dialect struct {
	conventions
	first int // Detectron2: the finest level with a lateral connection
}

// own is the name of a parameter for a checkpoint's name, which is returned as it is
// where the dialect does not know it.
func (d dialect) own(name string) string {
	if d.conventions == detectron2 {
		return d.fromDetectron2(name)
	}
	return fromOldTorchvision(name)
}

// theirs is the name of a parameter as checkpoints of the dialect have it.
func (d dialect) theirs(name string) string {
	if d.conventions == detectron2 {
		return d.toDetectron2(name)
	}
	return name
}

// The names that torchvision's detectors had up to version 0.12.
var (
	oldPyramid = regexp.MustCompile(`^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$`)
	oldRPN     = regexp.MustCompile(`^(rpn\.head\.conv)\.(weight|bias)$`)
	oldMask    = regexp.MustCompile(`^(roi_heads\.mask_head)\.mask_fcn([1-9])\.(weight|bias)$`)
	oldTower   = regexp.MustCompile(`^(head\.(?:classification|regression)_head\.conv)\.([02468])\.(weight|bias)$`)
)

// fromOldTorchvision is the present name of a tensor.
func fromOldTorchvision(name string) string {
	if m := oldPyramid.FindStringSubmatch(name); m != nil {
		return m[1] + ".0." + m[2]
	}
	if m := oldRPN.FindStringSubmatch(name); m != nil {
		return m[1] + ".0.0." + m[2]
	}
	if m := oldMask.FindStringSubmatch(name); m != nil {
		return fmt.Sprintf("%s.%d.0.%s", m[1], number(m[2])-1, m[3])
	}
	if m := oldTower.FindStringSubmatch(name); m != nil {
		return fmt.Sprintf("%s.%d.0.%s", m[1], number(m[2])/2, m[3])
	}
	return name
}

// number is the value of a few digits.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

// modules pairs the names of modules in Detectron2 with those in torchvision. %d stands
// for a number, which of Detectron2 is factor*n+offset; the finest level is added to
// the offset where it says so.
var modules = func() (out []modulePair) {
	for _, p := range []struct {
		detectron2, torchvision string
		factor, offset          int
		level                   bool
	}{
		{"backbone.bottom_up.stem.conv1", "backbone.body.conv1", 0, 0, false},
		{"backbone.bottom_up.stem.conv1.norm", "backbone.body.bn1", 0, 0, false},
		{"backbone.fpn_lateral%d", "backbone.fpn.inner_blocks.%d.0", 1, 0, true},
		{"backbone.fpn_lateral%d.norm", "backbone.fpn.inner_blocks.%d.1", 1, 0, true},
		{"backbone.fpn_output%d", "backbone.fpn.layer_blocks.%d.0", 1, 0, true},
		{"backbone.fpn_output%d.norm", "backbone.fpn.layer_blocks.%d.1", 1, 0, true},
		{"backbone.top_block.p6", "backbone.fpn.extra_blocks.p6", 0, 0, false},
		{"backbone.top_block.p7", "backbone.fpn.extra_blocks.p7", 0, 0, false},
		{"proposal_generator.rpn_head.conv", "rpn.head.conv.0.0", 0, 0, false},
		{"proposal_generator.rpn_head.objectness_logits", "rpn.head.cls_logits", 0, 0, false},
		{"proposal_generator.rpn_head.anchor_deltas", "rpn.head.bbox_pred", 0, 0, false},
		{"roi_heads.box_head.fc1", "roi_heads.box_head.fc6", 0, 0, false},
		{"roi_heads.box_head.fc2", "roi_heads.box_head.fc7", 0, 0, false},
		{"roi_heads.mask_head.mask_fcn%d", "roi_heads.mask_head.%d.0", 1, 1, false},
		{"roi_heads.mask_head.deconv", "roi_heads.mask_predictor.conv5_mask", 0, 0, false},
		{"roi_heads.mask_head.predictor", "roi_heads.mask_predictor.mask_fcn_logits", 0, 0, false},
		{"head.cls_subnet.%d", "head.classification_head.conv.%d.0", 2, 0, false},
		{"head.bbox_subnet.%d", "head.regression_head.conv.%d.0", 2, 0, false},
		{"head.cls_score", "head.classification_head.cls_logits", 0, 0, false},
		{"head.bbox_pred", "head.regression_head.bbox_reg", 0, 0, false},
	} {
		out = append(out, modulePair{detectron2: wildcard(p.detectron2), torchvision: wildcard(p.torchvision), factor: p.factor, offset: p.offset, level: p.level})
	}
	return out
}()

type modulePair struct {
	detectron2, torchvision pattern
	factor, offset          int
	level                   bool
}

// pattern is the name of a module with one number in it, or none.
type pattern struct {
	format string
	match  *regexp.Regexp
}

func wildcard(format string) pattern {
	quoted := strings.ReplaceAll(regexp.QuoteMeta(format), "%d", `(\d{1,4})`)
	return pattern{format, regexp.MustCompile("^" + quoted + "$")}
}

// number is that in a name of the pattern, 0 where it has none.
func (p pattern) number(name string) (n int, ok bool) {
	m := p.match.FindStringSubmatch(name)
	if len(m) > 1 {
		n = number(m[1])
	}
	return n, m != nil
}

func (p pattern) name(n int) string {
	if strings.Contains(p.format, "%d") {
		return fmt.Sprintf(p.format, n)
	}
	return p.format
}

// The modules of blocks of a residual network.
var (
	detectron2Block  = regexp.MustCompile(`^backbone\.bottom_up\.res(\d)\.(\d{1,3})\.(?:conv(\d)|shortcut)(\.norm)?$`)
	torchvisionBlock = regexp.MustCompile(`^backbone\.body\.layer(\d)\.(\d{1,3})\.(?:conv(\d)|bn(\d)|downsample\.(\d))$`)
)

// fromDetectron2 is torchvision's name of a tensor of Detectron2.
func (d dialect) fromDetectron2(name string) string {
	at := strings.LastIndexByte(name, '.')
	if at < 0 {
		return name
	}
	module, last := name[:at], name[at:]
	if m := detectron2Block.FindStringSubmatch(module); m != nil {
		block := fmt.Sprintf("backbone.body.layer%d.%s.", number(m[1])-1, m[2])
		switch norm := m[4] != ""; {
		case m[3] == "" && norm:
			return block + "downsample.1" + last
		case m[3] == "":
			return block + "downsample.0" + last
		case norm:
			return block + "bn" + m[3] + last
		}
		return block + "conv" + m[3] + last
	}
	for _, p := range modules {
		n, ok := p.detectron2.number(module)
		if n -= d.offset(p); !ok || p.factor > 0 && (n < 0 || n%p.factor != 0) {
			continue
		}
		return p.torchvision.name(n/max(1, p.factor)) + last
	}
	return name
}

// fromDetectron2Backbone is torchvision's name of a tensor of a backbone alone.
func fromDetectron2Backbone(name string) string {
	const theirs, own = "backbone.bottom_up.", "backbone.body."
	if rest, ok := strings.CutPrefix(dialect{conventions: detectron2}.fromDetectron2(theirs+name), own); ok {
		return rest
	}
	return strings.TrimPrefix(name, "stem.") // the last linear layer
}

// toDetectron2 is the other way.
func (d dialect) toDetectron2(name string) string {
	at := strings.LastIndexByte(name, '.')
	if at < 0 {
		return name
	}
	module, last := name[:at], name[at:]
	if m := torchvisionBlock.FindStringSubmatch(module); m != nil {
		block := fmt.Sprintf("backbone.bottom_up.res%d.%s.", number(m[1])+1, m[2])
		switch {
		case m[3] != "":
			return block + "conv" + m[3] + last
		case m[4] != "":
			return block + "conv" + m[4] + ".norm" + last
		case m[5] == "0":
			return block + "shortcut" + last
		}
		return block + "shortcut.norm" + last
	}
	for _, p := range modules {
		if n, ok := p.torchvision.number(module); ok {
			return p.detectron2.name(p.factor*n+d.offset(p)) + last
		}
	}
	return name
}

// offset is what is added to a number of torchvision's for that of Detectron2.
func (d dialect) offset(p modulePair) int {
	if p.level {
		return p.offset + d.first
	}
	return p.offset
}
