package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// shardOf is the shard that a command computes: the one of --shard, or else that
// of this task in a Slurm array. nil means all images. from says where the choice
// comes from.
func shardOf(flag string, getenv func(string) string) (s *featurize.Shard, from string, err error) {
	if flag == "none" {
		return nil, "", nil
	}
	if n, ok := strings.CutPrefix(flag, "/"); ok {
		index, name, err := shardIndex(getenv)
		if err != nil {
			return nil, "", err
		}
		return parseShard(fmt.Sprintf("%d/%s", index, n), "--shard "+flag+" and "+name)
	}
	if flag != "" {
		return parseShard(flag, "--shard")
	}
	if getenv("SLURM_ARRAY_TASK_COUNT") == "" || getenv("SLURM_ARRAY_TASK_ID") == "" || getenv("SLURM_ARRAY_TASK_COUNT") == "1" {
		return nil, "", nil
	}
	index, name, err := shardIndex(getenv)
	if err != nil {
		return nil, "", err
	}
	return parseShard(fmt.Sprintf("%d/%s", index, getenv("SLURM_ARRAY_TASK_COUNT")), name)
}

// parseShard reads I/N. One shard of one is all images.
func parseShard(text, from string) (*featurize.Shard, string, error) {
	s, err := featurize.ParseShard(text)
	if err != nil {
		return nil, "", &usageError{msg: from + ": " + err.Error(), hint: "--shard none takes all"}
	}
	if s.Count == 1 {
		return nil, "", nil
	}
	return &s, from, nil
}

// shardIndex is the index of this task in its array, from 0 on, and the variable
// that says so.
func shardIndex(getenv func(string) string) (index int, name string, err error) {
	number := func(name string, otherwise int) int {
		text := getenv(name)
		if text == "" {
			return otherwise
		}
		n, e := strconv.Atoi(text)
		if e != nil {
			err = &usageError{msg: fmt.Sprintf("%s is %q, expected a number", name, text)}
		}
		return n
	}
	if getenv("SLURM_ARRAY_TASK_ID") != "" {
		id, first, step := number("SLURM_ARRAY_TASK_ID", 0), number("SLURM_ARRAY_TASK_MIN", 0), number("SLURM_ARRAY_TASK_STEP", 1)
		step = max(step, 1)
		last, count := number("SLURM_ARRAY_TASK_MAX", -1), number("SLURM_ARRAY_TASK_COUNT", 0)
		if err == nil && last >= 0 && count > 0 && (last-first)/step+1 != count {
			err = &usageError{
				msg:  fmt.Sprintf("the Slurm array has %d tasks from %d to %d, so SLURM_ARRAY_TASK_ID does not tell their shares", count, first, last),
				hint: "--shard I/N names the share; or submit the whole array again: what is done is not done twice",
			}
		}
		return (id - first) / step, "SLURM_ARRAY_TASK_ID", err
	}
	if getenv("JOB_COMPLETION_INDEX") != "" {
		return number("JOB_COMPLETION_INDEX", 0), "JOB_COMPLETION_INDEX", err
	}
	return 0, "", &usageError{msg: "--shard /N without an index", hint: "SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX gives it, or --shard I/N"}
}
