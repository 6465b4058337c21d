package attack_test

import (
	"math"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/finetune/attack"
)

// TestParityNetworks: a network that was trained for it withstands PGD of 20 steps, and
// those that were not do not.
func TestParityNetworks(t *testing.T) {
	if os.Getenv("RTX_PARITY") != "1" {
		t.Skip("thousands of real images: RTX_PARITY=1 is not set")
	}
	for _, c := range []struct {
		name        string
		rows        int
		want, wider float64
	}{
		{"nets/resnet2b-robust.pth", 5000, .55, .02},
		{"nets/resnet20-12fca82f.th", 500, 0, .02},
		{"nets/resnet32-d509ac18.th", 500, 0, .02},
	} {
		a := attacker(t, network(t, shared(t, c.name)), 100)
		clean, robust := accuracies(outcomes(t, a, images(t, c.rows), attack.Config{Threat: attack.Threat{Norm: attack.Linf, Eps: 2. / 255}, RandomStart: true}))
		t.Logf("%s: %.1f %%, %.1f %% under PGD-20 within linf:2/255, %d images", c.name, 100*clean, 100*robust, c.rows)
		if math.Abs(robust-c.want) > c.wider {
			t.Errorf("%s: %v under attack, want %v", c.name, robust, c.want)
		}
	}
}
