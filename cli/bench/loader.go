package main

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/robust-transfer/rtx/onnx/runtime"
)

//go:embed loader.py
var loaderScript string

// loader compares ResNet-20 over small images with PyTorch: a DataLoader whose
// workers decode, and an eager network.
func (b *bench) loader(ctx context.Context) error {
	data, err := b.small()
	if err != nil {
		return err
	}
	peer, err := b.peer(ctx, loaderScript, "PyTorch", data, fmt.Sprint(runtime.Cores()))
	if err != nil || peer == nil {
		return err
	}
	defer peer.close()
	n, err := b.open(ctx, "cifar_resnet20")
	if err != nil {
		return err
	}
	defer n.Close()
	var ratios, ours, theirs []float64
	for range b.rounds {
		rate, err := peer.turn()
		if err != nil {
			return err
		}
		whole, _, err := b.job(ctx, n, data, "npy")
		if err != nil {
			return err
		}
		own := 10000 / whole
		ratios, ours, theirs = append(ratios, own/rate), append(ours, own), append(theirs, rate)
	}
	b.rows = append(b.rows, row{"ResNet-20 on 32x32 JPEGs, files to features", fmt.Sprintf("%.0f images/s", median(ours)), fmt.Sprintf("%.0f, PyTorch's DataLoader and eager", median(theirs)), median(ratios), ">= 2"})
	alone, err := n.bare(ctx, 50)
	if err != nil {
		return err
	}
	p, err := decoding(ctx, data, n.transform, 5000)
	if err != nil {
		return err
	}
	b.notes = append(b.notes, fmt.Sprintf("  ResNet-20: network alone %.0f images/s, decoding %.3f ms of a core an image, so at most %.0f images/s; ratios %.2f; %s",
		alone, 1000*p, 1/(1/alone+p/float64(runtime.Cores())), ratios, peer.about))
	return nil
}

// peer is a Python process that does its work once for each line that it gets on
// standard input, and answers with images/s.
type peer struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	about string // its first line
}

// peer starts one. Where that is not possible it says so and returns nil, or an
// error under RTX_REQUIRE_PEERS=1.
func (b *bench) peer(ctx context.Context, script, name string, args ...string) (*peer, error) {
	p, err := b.startPeer(ctx, script, args...)
	if err == nil {
		return p, nil
	}
	fmt.Printf("SKIPPED: %s as a peer: %v (PYTHON names an interpreter with torch, torchvision and Pillow)\n", name, err)
	if os.Getenv("RTX_REQUIRE_PEERS") == "1" {
		return nil, err
	}
	return nil, nil
}

func (b *bench) startPeer(ctx context.Context, script string, args ...string) (*peer, error) {
	cmd := exec.CommandContext(ctx, b.python, append([]string{"-c", script}, args...)...)
	var trouble strings.Builder
	cmd.Stderr = &trouble
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{cmd: cmd, in: in, out: bufio.NewReader(out)}
	if p.about, err = p.out.ReadString('\n'); err != nil {
		cmd.Wait()
		lines := strings.Split(strings.TrimSpace(trouble.String()), "\n")
		return nil, fmt.Errorf("%s: %s", b.python, lines[len(lines)-1])
	}
	p.about = strings.TrimSpace(p.about)
	return p, nil
}

func (p *peer) turn() (rate float64, err error) {
	if _, err := io.WriteString(p.in, "go\n"); err != nil {
		return 0, err
	}
	_, err = fmt.Fscanln(p.out, &rate)
	return rate, err
}

func (p *peer) close() {
	p.in.Close()
	p.cmd.Wait()
}
