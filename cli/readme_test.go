package cli_test

// The README's scripts, run as they stand there.

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// snippets are the README's code blocks of a language below a heading.
func snippets(t *testing.T, heading, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("the README has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var found []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(section, -1) {
		found = append(found, m[1])
	}
	if len(found) == 0 {
		t.Fatalf("the section %q has no %s", heading, language)
	}
	return found
}

// checkout makes a folder that looks like the repository after make demo.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	assets, err := filepath.Abs(filepath.Join("..", "assets"))
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"bin/rtx": command(t).Path, "assets": assets, "demo/shapes": drawn(t, 60)} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestNotebook runs the cells of "From a notebook" as one script. IPython's
// x = !command becomes what it does: the lines of both streams joined.
func TestNotebook(t *testing.T) {
	needLibrary(t)
	python := pythonWith(t, "numpy")
	cell := regexp.MustCompile(`(?m)^(\w+) = !(.*)$`)
	script := cell.ReplaceAllString(strings.Join(snippets(t, "From a notebook", "python"), ""),
		`$1 = __import__("subprocess").run(rf"""$2""", shell=True, stdout=-1, stderr=-2, text=True).stdout.splitlines()`)
	cmd := exec.Command(python, "-c", script)
	cmd.Dir = filepath.Join(checkout(t), "some", "folder")
	if err := os.MkdirAll(cmd.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, out, script)
	}
	for _, want := range []string{"(60, 96) (60,)", "done", "cached", "65", "nowhere", "featurize: 60 of 60"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
}

// TestFromGo builds and runs the program of "From Go" in a module of its own that
// requires rtx from this folder.
func TestFromGo(t *testing.T) {
	needLibrary(t)
	body := snippets(t, "From Go", "go")[0]
	if n := strings.Count(body, "\n"); n > 15 {
		t.Errorf("%d lines", n)
	}
	var imports strings.Builder
	for _, p := range []string{"context", "fmt", "log"} {
		fmt.Fprintf(&imports, "%q\n", p)
	}
	for _, p := range []string{"featurize", "finetune", "finetune/augment", "finetune/classify", "finetune/graph", "finetune/lower", "onnx", "onnx/runtime"} {
		fmt.Fprintf(&imports, "%q\n", module+p)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, require, ok := strings.Cut(string(theirs), "\nrequire (")
	if !ok {
		t.Fatal("go.mod requires nothing")
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	rtx := strings.TrimSuffix(module, "/")
	dir := checkout(t)
	for name, text := range map[string]string{
		"main.go": "package main\n\nimport (\n" + imports.String() + ")\n\nfunc must[T any](v T, err error) T {\nif err != nil {\nlog.Fatal(err)\n}\nreturn v\n}\n\nfunc main() {\n" +
			body + "if err != nil {\nlog.Fatal(err)\n}\n}\n",
		"go.mod": fmt.Sprintf("module example\n\ngo 1.26\n\nrequire %s v0.0.0\n\nreplace %s => %s\n\nrequire (%s", rtx, rtx, root, require),
		"go.sum": string(sums),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "run", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !regexp.MustCompile(`^validation top-1 \d+\.\d %\n$`).Match(out) {
		t.Errorf("it prints %q", out)
	}
	if o := call("eval", "-m", filepath.Join(dir, "shapes.onnx"), "-d", filepath.Join(dir, "demo", "shapes")); o.code != 0 || !strings.Contains(o.stdout, "top-1") {
		t.Errorf("the model that it writes: %+v", o)
	}
}

// TestSlurm submits the script of "On a cluster" to a Slurm of this machine
// alone, started for the test.
func TestSlurm(t *testing.T) {
	needLibrary(t)
	if os.Getuid() != 0 {
		t.Skip("starting a Slurm of its own needs root")
	}
	slurm(t)
	dir := checkout(t)
	script := filepath.Join(dir, "features.sh")
	if err := os.WriteFile(script, []byte(snippets(t, "On a cluster", "bash")[0]), 0o777); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			logs, _ := filepath.Glob(filepath.Join(dir, "slurm-*.out"))
			for _, l := range logs {
				text, _ := os.ReadFile(l)
				t.Logf("%s: %s", filepath.Base(l), text)
			}
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		return string(out)
	}
	run("sbatch", "--wait", script)
	for _, line := range strings.Split(strings.TrimSpace(snippets(t, "On a cluster", "sh")[0]), "\n") {
		if !strings.HasPrefix(line, "sbatch") {
			run("sh", "-c", line)
		}
	}
	if o := call("featurize", "-m", backbone, "-d", filepath.Join(dir, "demo", "shapes"), "-o", filepath.Join(dir, "whole"), "-q"); o.code != 0 {
		t.Fatal(o)
	}
	sameBytes(t, filepath.Join(dir, "features"), filepath.Join(dir, "whole"), compared...)
}

// slurm starts munge, a controller and a node, and points the commands to them.
func slurm(t *testing.T) {
	t.Helper()
	for _, name := range []string{"munged", "slurmctld", "slurmd", "sbatch"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed (apt-get install slurm-wlm munge)", name)
		}
	}
	if _, err := user.Lookup("munge"); err != nil {
		t.Skip("there is no user munge")
	}
	dir, err := os.MkdirTemp("", "rtx-slurm") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	key := filepath.Join(dir, "munge.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("rtx tests its own", 8)), 0o400); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "slurm.conf")
	lines := []string{
		"ClusterName=rtx", "SlurmctldHost=" + host + "(127.0.0.1)", "SlurmUser=root", "SlurmdUser=root",
		"AuthType=auth/munge", "AuthInfo=socket=" + dir + "/munge.socket", "CredType=cred/munge",
		fmt.Sprint("SlurmctldPort=", freePort(t)), fmt.Sprint("SlurmdPort=", freePort(t)),
		"StateSaveLocation=" + dir + "/state", "SlurmdSpoolDir=" + dir + "/spool",
		"SlurmctldPidFile=" + dir + "/ctld.pid", "SlurmdPidFile=" + dir + "/d.pid",
		"ProctrackType=proctrack/pgid", "TaskPlugin=task/none", "SelectType=select/cons_tres", "SelectTypeParameters=CR_CPU",
		"MpiDefault=none", "ReturnToService=2", "SlurmdParameters=config_overrides", "JobAcctGatherType=jobacct_gather/none",
		"NodeName=" + host + " NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN", "PartitionName=all Nodes=" + host + " Default=YES State=UP",
	}
	for name, text := range map[string]string{conf: strings.Join(lines, "\n") + "\n", filepath.Join(dir, "cgroup.conf"): "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"state", "spool"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SLURM_CONF", conf)
	daemon(t, "munged", "-F", "--force", "--key-file="+key, "--socket="+dir+"/munge.socket", "--pid-file="+dir+"/munge.pid",
		"--log-file="+dir+"/munge.log", "--seed-file="+dir+"/munge.seed")
	awaited(t, "munge", func() bool { _, err := os.Stat(dir + "/munge.socket"); return err == nil })
	daemon(t, "slurmctld", "-D", "-f", conf)
	daemon(t, "slurmd", "-D", "-f", conf, "-N", host)
	awaited(t, "the node", func() bool {
		out, err := exec.Command("sinfo", "-h", "-o", "%T").Output()
		return err == nil && strings.TrimSpace(string(out)) == "idle"
	})
}

func daemon(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		done := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		done.Stop()
		if t.Failed() {
			t.Logf("%s: %s", name, said.String())
		}
	})
}

func awaited(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for range 300 {
		if ready() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s did not come up in 30 s", what)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
