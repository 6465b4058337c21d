package attack_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/robust-transfer/rtx/finetune/attack"
)

// TestParityTorch compares PGD and APGD, image by image, with an implementation in
// PyTorch that starts at the same images (testdata/peer.py).
func TestParityTorch(t *testing.T) {
	python := os.Getenv("PYTHON")
	if os.Getenv("RTX_PARITY") != "1" || python == "" {
		t.Skip("RTX_PARITY=1 and PYTHON (with torch and onnx) are not set")
	}
	const n = 500
	rows := images(t, n)
	for _, c := range []struct {
		name, threat string
	}{
		{"nets/resnet2b-robust.pth", "linf:2/255"},
		{"ours/resnet8_cifar_l2_eps0.25.onnx", "l2:0.5"},
	} {
		threat, err := attack.ParseThreat(c.threat)
		if err != nil {
			t.Fatal(err)
		}
		net := network(t, shared(t, c.name))
		want := peer(t, python, net.Model().Save, rows, threat)
		a := attacker(t, net, 100)
		for name, config := range map[string]attack.Config{
			"clean":    {Threat: attack.Threat{Norm: threat.Norm}, Steps: 1},
			"pgd":      {Threat: threat},
			"apgd-ce":  {Threat: threat, Method: attack.APGD},
			"apgd-dlr": {Threat: threat, Method: attack.APGD, Loss: attack.DLR},
		} {
			same, ours, theirs := 0., 0., 0.
			for i, o := range outcomes(t, a, rows, config) {
				theirs += want[name][i]
				if o.Robust {
					ours++
				}
				if o.Robust == (want[name][i] == 1) {
					same++
				}
			}
			t.Logf("%s, %s, %s: %.1f %%, PyTorch %.1f %%, %v of %d images alike", c.name, c.threat, name, 100*ours/n, 100*theirs/n, same, n)
			if same < .99*n || math.Abs(ours-theirs) > .005*n {
				t.Errorf("%s, %s, %s: too far apart", c.name, c.threat, name)
			}
		}
	}
}

// peer runs testdata/peer.py on a model and rows.
func peer(t *testing.T, python string, save func(string) error, rows []attack.Row, threat attack.Threat) (out map[string][]float64) {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	var pixels, labels []byte
	for _, r := range rows {
		for _, v := range r.Image {
			pixels = binary.LittleEndian.AppendUint32(pixels, math.Float32bits(v))
		}
		labels = binary.LittleEndian.AppendUint32(labels, uint32(r.Label))
	}
	for _, err := range []error{save(file("model.onnx")), os.WriteFile(file("images"), pixels, 0o600), os.WriteFile(file("labels"), labels, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(python, "testdata/peer.py", file("model.onnx"), file("images"), file("labels"), string(threat.Norm), fmt.Sprint(threat.Eps))
	c.Stderr = os.Stderr
	text, err := c.Output()
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
