// Judges a history by porcupine (github.com/anishathalye/porcupine), a checker that nobody here wrote: reads the lines
// of toLines() in tiny_book.h from a file, and says "linearizable", "not linearizable" or "unknown".
//
// The book is written down here once more, so that a slip in tiny_book.cpp is seen, too.
package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	limit   = 0
	ioc     = 1
	cancel  = 2
	replace = 3
)

const (
	nothing      = 0
	done         = 1
	unknownOrder = 2
	orderClosed  = 3
)

type fill struct {
	maker    uint64
	quantity int64
}

type request struct {
	instrument uint64
	asked      int
	buys       bool
	order      uint64
	newOrder   uint64
	quantity   int64
}

type answer struct {
	said  int
	lots  int64
	fills []fill
}

// A book never changes: each step makes another one.
type book struct {
	buys  bool
	queue []fill
	known []uint64 // order numbers, rising
}

func (b book) copy() book {
	return book{b.buys, append([]fill(nil), b.queue...), b.known}
}

func (b book) knows(order uint64) bool {
	at := sort.Search(len(b.known), func(at int) bool { return b.known[at] >= order })
	return at < len(b.known) && b.known[at] == order
}

func (b *book) note(order uint64) {
	at := sort.Search(len(b.known), func(at int) bool { return b.known[at] >= order })
	known := make([]uint64, 0, len(b.known)+1)
	known = append(append(known, b.known[:at]...), order)
	b.known = append(known, b.known[at:]...)
}

func (b book) place(order uint64) int {
	for at, each := range b.queue {
		if each.maker == order {
			return at
		}
	}
	return -1
}

func trade(b book, in request, out answer) (bool, book) {
	if b.knows(in.order) {
		return false, b
	}
	next := b.copy()
	next.note(in.order)
	open := in.quantity
	var fills []fill
	for open > 0 && len(next.queue) > 0 && next.buys != in.buys {
		lots := next.queue[0].quantity
		if open < lots {
			lots = open
		}
		fills = append(fills, fill{next.queue[0].maker, lots})
		open -= lots
		next.queue[0].quantity -= lots
		if next.queue[0].quantity == 0 {
			next.queue = next.queue[1:]
		}
	}
	if in.asked == limit && open > 0 {
		next.buys = in.buys
		next.queue = append(next.queue, fill{in.order, open})
	}
	if out.said == nothing {
		return true, next
	}
	if out.said != done || out.lots != open || len(out.fills) != len(fills) {
		return false, b
	}
	for at := range fills {
		if fills[at] != out.fills[at] {
			return false, b
		}
	}
	return true, next
}

func change(b book, in request, out answer) (bool, book) {
	at := b.place(in.order)
	if at < 0 {
		said := unknownOrder
		if b.knows(in.order) {
			said = orderClosed
		}
		return out.said == nothing || out.said == said, b
	}
	next := b.copy()
	lots := next.queue[at].quantity
	rest := append(append([]fill(nil), next.queue[:at]...), next.queue[at+1:]...)
	switch {
	case in.asked == cancel:
		next.queue = rest
	case in.quantity <= lots:
		next.queue[at] = fill{in.newOrder, in.quantity}
	default:
		next.queue = append(rest, fill{in.newOrder, in.quantity})
	}
	if in.asked == replace {
		next.note(in.newOrder)
		lots = in.quantity
	}
	return out.said == nothing || (out.said == done && out.lots == lots), next
}

func equal(a, b book) bool {
	if len(a.queue) != len(b.queue) || len(a.known) != len(b.known) {
		return false
	}
	if len(a.queue) > 0 && a.buys != b.buys {
		return false
	}
	for at := range a.queue {
		if a.queue[at] != b.queue[at] {
			return false
		}
	}
	for at := range a.known {
		if a.known[at] != b.known[at] {
			return false
		}
	}
	return true
}

var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		books := map[uint64][]porcupine.Operation{}
		for _, each := range history {
			instrument := each.Input.(request).instrument
			books[instrument] = append(books[instrument], each)
		}
		var all [][]porcupine.Operation
		for _, each := range books {
			all = append(all, each)
		}
		return all
	},
	Init: func() interface{} { return book{} },
	Step: func(state, input, output interface{}) (bool, interface{}) {
		in, out := input.(request), output.(answer)
		if in.asked == limit || in.asked == ioc {
			fits, next := trade(state.(book), in, out)
			return fits, next
		}
		fits, next := change(state.(book), in, out)
		return fits, next
	},
	Equal: func(a, b interface{}) bool { return equal(a.(book), b.(book)) },
}

func read(path string) ([]porcupine.Operation, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var history []porcupine.Operation
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 10 {
			return nil, fmt.Errorf("a line of %d words", len(words))
		}
		var numbers [10]int64
		for at := range numbers {
			if numbers[at], err = strconv.ParseInt(words[at], 10, 64); err != nil {
				return nil, err
			}
		}
		out := answer{said: int(numbers[8]), lots: numbers[9]}
		for _, word := range words[10:] {
			var each fill
			if _, err := fmt.Sscanf(word, "%d:%d", &each.maker, &each.quantity); err != nil {
				return nil, err
			}
			out.fills = append(out.fills, each)
		}
		end := numbers[2]
		if end == 0 {
			end = math.MaxInt64
		}
		history = append(history, porcupine.Operation{
			Input: request{uint64(numbers[0]), int(numbers[3]), numbers[4] == 1, uint64(numbers[5]),
				uint64(numbers[6]), numbers[7]},
			Call: numbers[1], Output: out, Return: end})
	}
	return history, lines.Err()
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "porcupine HISTORY")
		os.Exit(2)
	}
	history, err := read(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	switch porcupine.CheckOperationsTimeout(model, history, time.Minute) {
	case porcupine.Ok:
		fmt.Println("linearizable")
	case porcupine.Illegal:
		fmt.Println("not linearizable")
	default:
		fmt.Println("unknown")
	}
}
