package cli

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/robust-transfer/rtx/finetune"
)

// freeMemory is how many bytes this process may still take: what the system has
// available, less where its control group allows less. 0: not known.
var freeMemory = func() int64 {
	free := readField("/proc/meminfo", "MemAvailable:") << 10
	limit, used := readNumber("/sys/fs/cgroup/memory.max"), readNumber("/sys/fs/cgroup/memory.current")
	used -= readField("/sys/fs/cgroup/memory.stat", "inactive_file") // files in memory, which make room
	if limit > 0 && (free == 0 || limit-used < free) {
		free = max(limit-used, 1)
	}
	return free
}

// fitsMemory refuses a training in batches of n images, of which there may be least, that
// needs more memory than there is; less says what takes less where the batch does not
// matter.
func fitsMemory(p finetune.Plan, n, least int, less string) error {
	free := freeMemory()
	if free == 0 || p.Memory <= free {
		return nil
	}
	hint := less + ": what does not depend on the batch does not fit"
	for b := n / 2; b >= least; b /= 2 {
		if p.State+(p.Memory-p.State)*int64(b)/int64(n) < free {
			hint = fmt.Sprintf("--batch-size %d may fit", b)
			break
		}
	}
	return hinted{temporary{error: fmt.Errorf("a step of %d images needs about %s of memory, and %s are free", n, bytesText(p.Memory), bytesText(free))}, hint}
}

// readField reads the number behind a name in a file of lines, 0 where there is
// none.
func readField(file, name string) int64 {
	f, err := os.Open(file)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == name {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			return n
		}
	}
	return 0
}

// readNumber reads a file of one number, 0 where there is none.
func readNumber(name string) int64 {
	data, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n
}

// bytesText formats a number of bytes for people.
func bytesText(n int64) string {
	if n < 1e9 {
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// countText formats a large number for people.
func countText(n int) string {
	if n < 1e5 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%.1f million", float64(n)/1e6)
}

// counted is a number of things, such as "1 epoch" and "2 epochs".
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// roundTime rounds a duration for people.
func roundTime(d time.Duration) time.Duration {
	if d > 10*time.Minute {
		return d.Round(time.Minute)
	}
	return d.Round(time.Second)
}
