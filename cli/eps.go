package cli

import (
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/finetune/attack"
)

// parseThreat reads NORM:EPS: the norm and radius of an adversary in units of
// [0,1] pixels, such as l2:0.5 or linf:4/255.
func parseThreat(text string) (attack.Threat, error) {
	t, err := attack.ParseThreat(text)
	switch {
	case err == nil:
		return t, nil
	case t.Norm == attack.Linf && t.Eps > 1:
		_, number, _ := strings.Cut(text, ":")
		return t, &usageError{msg: fmt.Sprintf("%q is more than the range of pixels, which is [0,1]", text), hint: "did you mean linf:" + number + "/255"}
	}
	return t, &usageError{msg: fmt.Sprintf("%q is no norm and radius", text), hint: "l2:0.5 and linf:4/255 are"}
}
