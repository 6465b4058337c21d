package cli

import (
	"strings"

	"github.com/robust-transfer/rtx/cli/help"
)

// flagGroups assigns each flag of each verb to a group, most used first. VERB:FLAG
// overrides FLAG for a verb where the flag belongs elsewhere.
var flagGroups = []help.Group{
	under("Input", "model models data task labels test test-labels predictions against corrupt corrupt-baseline groups eval:metric voc-rounding split name add:arch eps query queries neighbours:seed images gradients:seed inversion:seed attack:seed from shard root label-key on-error max-skipped"),
	under("Output", "out resume log attach format score draw to names outputs top-k neighbours fold-bn no-normalize embed-preprocess export:precision opset masks export:batch export:score nms keep key-map use categories triton overwrite verify values"),
	under("Network", "arch kind detect:masks compare:masks classes form import:labels bn-eps new:labels predict:labels eval:labels new:input-size new:seed index"),
	under("Features", "layer pool bn start inversion:steps"),
	under("Classifier", "solver reg folds seeds seed per-class balanced"),
	under("Training", "recipe mode train-stages epochs finetune:batch-size detect:batch-size finetune:bn detect:bn head head-init label-smoothing patience metric val-fraction max-time empty finetune:seed detect:seed finetune:seeds detect:seeds"),
	under("Attack", "attack adversarial attack-method eval:steps attack:steps attack-steps attack-step-size restarts attack-check"),
	under("Optimizer", "lr optimizer schedule warmup weight-decay momentum nesterov clip ema layer-decay no-decay-norm step-size gamma"),
	under("Augmentation", "augment mixup jitter no-flip"),
	under("Preprocessing", "size min-size max-size input-size resize crop normalize range channels interpolation pre-resize exif-rotate force-input"),
	under("Machine", "device engine batch-size precision workers threads cuda onnxruntime"),
	under("General", "config json progress quiet help"),
}

// verbGroups assigns each verb to a group.
var verbGroups = []help.Group{
	under("Models", "models import export inspect new"),
	under("Features", "featurize probe compare merge plot adapt"),
	under("Training", "finetune eval predict detect"),
	under("Installation", "runtime doctor version completion man"),
}

// under is a group of names that blanks separate.
func under(title, names string) help.Group {
	return help.Group{Title: title, Members: strings.Fields(names)}
}
