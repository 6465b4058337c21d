package cli

import (
	"strings"
	"testing"
)

func TestParseEps(t *testing.T) {
	for text, want := range map[string]float64{"l2:0.5": 0.5, "linf:4/255": 4. / 255, "l2:3": 3, "linf:1": 1, "l2:0": 0} {
		if norm, eps, err := parseEps(text); err != nil || eps != want || !strings.HasPrefix(text, norm+":") {
			t.Errorf("%s: %s %v %v", text, norm, eps, err)
		}
	}
	for text, hint := range map[string]string{"linf:4": "linf:4/255", "4/255": "l2:0.5", "l1:3": "l2:0.5", "l2:-1": "l2:0.5", "l2:1/0": "l2:0.5", "l2:": "l2:0.5", "l2:nan": "l2:0.5"} {
		_, _, err := parseEps(text)
		if code, h := verdict(err); code != 2 || !strings.Contains(h, hint) {
			t.Errorf("%s: %v, hint %q", text, err, h)
		}
	}
}
