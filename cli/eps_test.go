package cli

import (
	"strings"
	"testing"
)

func TestParseThreat(t *testing.T) {
	for text, want := range map[string]float64{"l2:0.5": 0.5, "linf:4/255": 4. / 255, "l2:3": 3, "linf:1": 1, "l2:0": 0} {
		if threat, err := parseThreat(text); err != nil || threat.Eps != want || !strings.HasPrefix(text, string(threat.Norm)+":") {
			t.Errorf("%s: %v %v", text, threat, err)
		}
	}
	for text, hint := range map[string]string{"linf:4": "linf:4/255", "4/255": "l2:0.5", "l1:3": "l2:0.5", "l2:-1": "l2:0.5", "l2:1/0": "l2:0.5", "l2:": "l2:0.5", "l2:nan": "l2:0.5"} {
		_, err := parseThreat(text)
		if code, h := verdict(err); code != 2 || !strings.Contains(h, hint) {
			t.Errorf("%s: %v, hint %q", text, err, h)
		}
	}
}
