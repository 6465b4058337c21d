package cli

import (
	"maps"
	"testing"
)

func TestShardOf(t *testing.T) {
	slurm := map[string]string{"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_STEP": "2", "SLURM_ARRAY_TASK_COUNT": "4"}
	with := func(key, value string) map[string]string {
		m := maps.Clone(slurm)
		m[key] = value
		return m
	}
	k8s := map[string]string{"JOB_COMPLETION_INDEX": "2"}
	for _, c := range []struct {
		flag string
		env  map[string]string
		want string // "" for all, "error"
		from string
	}{
		{"", nil, "", ""}, {"", k8s, "", ""}, {"none", slurm, "", ""}, {"0/1", nil, "", ""},
		{"2/4", slurm, "shard-2-of-4", "--shard"}, {"", slurm, "shard-3-of-4", "SLURM_ARRAY_TASK_ID"},
		{"/8", slurm, "shard-3-of-8", "--shard /8 and SLURM_ARRAY_TASK_ID"}, {"/4", k8s, "shard-2-of-4", "--shard /4 and JOB_COMPLETION_INDEX"},
		{"", with("SLURM_ARRAY_TASK_COUNT", "1"), "", ""}, {"", with("SLURM_ARRAY_TASK_ID", "x"), "error", ""}, {"", with("SLURM_ARRAY_TASK_ID", "99"), "error", ""},
		{"", with("SLURM_ARRAY_TASK_MAX", "7"), "shard-3-of-4", "SLURM_ARRAY_TASK_ID"}, {"", with("SLURM_ARRAY_TASK_MAX", "9"), "error", ""},
		{"/8", with("SLURM_ARRAY_TASK_MAX", "9"), "error", ""}, {"1/8", with("SLURM_ARRAY_TASK_MAX", "9"), "shard-1-of-8", "--shard"},
		{"/4", nil, "error", ""}, {"4/4", nil, "error", ""}, {"/2", k8s, "error", ""}, {"some", nil, "error", ""},
	} {
		s, from, err := shardOf(c.flag, func(name string) string { return c.env[name] })
		got := ""
		if s != nil {
			got = s.Dir()
		}
		if err != nil {
			got = "error"
			if code, _ := verdict(err); code != 2 {
				t.Errorf("%q, %v: exit code %d", c.flag, c.env, code)
			}
		}
		if got != c.want || from != c.from {
			t.Errorf("%q, %v: %q from %q, want %q from %q (%v)", c.flag, c.env, got, from, c.want, c.from, err)
		}
	}
}
