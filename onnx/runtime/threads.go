package runtime

import (
	"math"
	"os"
	gort "runtime"
	"strconv"
	"strings"
)

// Cores is the number of cores that this process may keep busy: those of its
// affinity mask, fewer where its control group has a smaller quota.
func Cores() int {
	n := gort.NumCPU() // obeys the affinity mask
	if q := quota(); q > 0 {
		n = min(n, max(1, int(math.Ceil(q))))
	}
	return n
}

// quota reads the CPU quota of control groups, version 2 and then 1, in cores;
// 0 for none.
func quota() float64 {
	if b, err := os.ReadFile("/sys/fs/cgroup/cpu.max"); err == nil {
		if f := strings.Fields(string(b)); len(f) == 2 {
			return ratio(f[0], f[1])
		}
	}
	q, err1 := os.ReadFile("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
	p, err2 := os.ReadFile("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
	if err1 != nil || err2 != nil {
		return 0
	}
	return ratio(strings.TrimSpace(string(q)), strings.TrimSpace(string(p)))
}

func ratio(quota, period string) float64 {
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || q <= 0 || p <= 0 {
		return 0
	}
	return q / p
}
