package history

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The shorthand of the tables: times are seconds.
func did(client int, value int, call, ret int, list ...int) Op {
	return Op{Client: client, Object: "o", Value: value, Call: time.Duration(call) * time.Second, Return: time.Duration(ret) * time.Second, Outcome: OK, List: list}
}

func maybe(client, value, call int) Op {
	return Op{Client: client, Object: "o", Value: value, Call: time.Duration(call) * time.Second, Outcome: Unknown}
}

func not(client, value, call, ret int) Op {
	op := did(client, value, call, ret)
	op.Outcome = Failed
	return op
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name                       string
		ops                        []Op
		lost, twice, ghost, broken int
	}{
		{name: "nothing happened"},
		{name: "one after the other", ops: []Op{did(1, 1, 0, 1, 1), did(2, 2, 2, 3, 1, 2), did(1, 0, 4, 5, 1, 2)}},
		{name: "at the same time, in either order", ops: []Op{did(1, 1, 0, 9, 2, 1), did(2, 2, 0, 9, 2)}},
		{name: "unknown, and it happened late", ops: []Op{maybe(1, 1, 0), did(2, 2, 1, 2, 2), did(2, 0, 3, 4, 2, 1)}},
		{name: "unknown, and it never happened", ops: []Op{maybe(1, 1, 0), did(2, 2, 1, 2, 2)}},
		{name: "a read of unknown outcome says nothing", ops: []Op{maybe(1, 0, 0), did(2, 2, 1, 2, 2)}},
		{name: "failed, and it did not happen", ops: []Op{not(1, 1, 0, 1), did(2, 2, 1, 2, 2)}},
		{name: "failed, and it happened", ops: []Op{not(1, 1, 0, 1), did(2, 2, 1, 2, 1, 2)}, ghost: 1, broken: 1},
		{name: "lost", ops: []Op{did(1, 1, 0, 1, 1), did(2, 2, 2, 3, 2)}, lost: 1, broken: 1},
		{name: "twice", ops: []Op{did(1, 1, 0, 1, 1), did(2, 0, 2, 3, 1, 1)}, twice: 1, broken: 1},
		{name: "out of nothing", ops: []Op{did(1, 0, 0, 1, 7)}, ghost: 1, broken: 1},
		{name: "a stale read", ops: []Op{did(1, 1, 0, 1, 1), did(2, 0, 2, 3), did(1, 0, 4, 5, 1)}, broken: 1},
		{name: "a read of the future", ops: []Op{did(2, 0, 0, 1, 1), did(1, 1, 2, 3, 1)}, broken: 1},
		{name: "unknown, seen, and gone", ops: []Op{maybe(1, 1, 0), did(2, 0, 1, 2, 1), did(2, 0, 3, 4)}, broken: 1},
		{name: "unknown, seen before it was called", ops: []Op{maybe(1, 1, 5), did(2, 0, 1, 2, 1), did(2, 0, 6, 7, 1)}, broken: 1},
		{name: "two lists", ops: []Op{did(1, 1, 0, 1, 1), did(2, 2, 0, 1, 2), did(1, 0, 2, 3, 1)}, lost: 1, broken: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Check(c.ops, 10*time.Second)
			if len(r.Lost) != c.lost || len(r.Twice) != c.twice || len(r.Ghosts) != c.ghost || len(r.Broken) != c.broken || r.Undecided != nil {
				t.Errorf("%v\nwant %d lost, %d twice, %d ghosts, %d broken", r, c.lost, c.twice, c.ghost, c.broken)
			}
			if r.Clean() != (c.lost+c.twice+c.ghost+c.broken == 0) {
				t.Errorf("clean is %v", r.Clean())
			}
		})
	}
}

// TestCheckOfALongHistory makes a history that one list did go through, with
// unknown outcomes, and finds it clean; then it breaks one answer in it.
func TestCheckOfALongHistory(t *testing.T) {
	for seed := range uint64(5) {
		ops := through(rand.New(rand.NewPCG(seed, 1)), 2000)
		if r := Check(ops, 20*time.Second); !r.Clean() || r.Unknown < 50 {
			t.Fatalf("seed %d: %v", seed, r)
		}
		i := slices.IndexFunc(ops[len(ops)/2:], func(o Op) bool { return o.Outcome == OK && o.Value != 0 && len(o.List) > 2 }) + len(ops)/2
		ops[i].List = append(slices.Clone(ops[i].List[:len(ops[i].List)-2]), ops[i].Value) // as if the one before it were lost
		if r := Check(ops, 20*time.Second); len(r.Broken) != 1 {
			t.Errorf("seed %d: an answer without an acknowledged append is not caught: %v", seed, r)
		}
	}
}

// through runs n operations of eight clients, one at a time, on one list; each
// is called a little before it happens and returns a little later.
func through(rnd *rand.Rand, n int) []Op {
	var list []int
	var ops []Op
	busy := make([]time.Duration, 8)
	for i := range n {
		now := time.Duration(i+1) * time.Second
		client := rnd.IntN(len(busy))
		op := Op{Client: client, Object: "o", Outcome: OK, Call: max(busy[client], now-time.Duration(rnd.IntN(4000))*time.Millisecond)}
		op.Return = now + time.Duration(1+rnd.IntN(4000))*time.Millisecond
		if op.Call >= now {
			continue
		}
		busy[client] = op.Return
		if rnd.IntN(2) == 0 {
			op.Value = i + 1
			if happens := rnd.IntN(10); happens > 0 {
				list = append(list, op.Value)
			} else {
				op.Outcome = Failed
			}
			if rnd.IntN(8) == 0 {
				op.Outcome = Unknown
			}
		}
		op.List = slices.Clone(list)
		ops = append(ops, op)
	}
	return ops
}
