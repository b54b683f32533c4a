import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

/**
 * Measures an engine: whole passes over the workload, each on a fresh book whose prefill lies outside of the clock. Warm-up passes until
 * --warmup seconds have gone by (two at least; the first one writes the trades), then timed passes until --seconds have gone by: the median.
 * A last pass reads the clock around every operation.
 */
final class Passes {
    interface Engine {
        /** Runs the flow's row. */
        void run(int row);
    }

    private final Flow flow;
    private final Function<Trades, Engine> make;

    private Passes(Flow flow, Function<Trades, Engine> make) {
        this.flow = flow;
        this.make = make;
    }

    /** `make` opens an empty engine that reports trades to what it is given. Arguments: FILE [--seconds S] [--warmup S] [--trades FILE]. */
    static void main(String engine, String version, String[] arguments, Function<Flow, Function<Trades, Engine>> make) throws Exception {
        Flow flow = new Flow(Path.of(arguments[0]));
        double seconds = 1, warmup = 3;
        Path tradesPath = null;
        for (int i = 1; i + 1 < arguments.length; i += 2) {
            switch (arguments[i]) {
                case "--seconds" -> seconds = Double.parseDouble(arguments[i + 1]);
                case "--warmup" -> warmup = Double.parseDouble(arguments[i + 1]);
                case "--trades" -> tradesPath = Path.of(arguments[i + 1]);
                default -> throw new IllegalArgumentException(arguments[i]);
            }
        }
        new Passes(flow, make.apply(flow)).measure(engine, version, seconds, warmup, tradesPath);
    }

    private Engine prefilled(Trades trades) {
        Engine engine = make.apply(trades);
        for (int row = 0; row < flow.prefill; row++) engine.run(row);
        trades.count = trades.quantity = 0;
        return engine;
    }

    /** @return nanoseconds */
    private long pass(Trades trades, boolean keep) {
        Engine engine = prefilled(trades);
        if (keep) trades.keep();
        int end = flow.prefill + flow.steps;
        long began = System.nanoTime();
        for (int row = flow.prefill; row < end; row++) engine.run(row);
        return System.nanoTime() - began;
    }

    private int[] serviceTimes() {
        Engine engine = prefilled(new Trades());
        int[] times = new int[flow.steps];
        for (int step = 0; step < flow.steps; step++) {
            long began = System.nanoTime();
            engine.run(flow.prefill + step);
            times[step] = (int) (System.nanoTime() - began);
        }
        Arrays.sort(times);
        return times;
    }

    private void measure(String name, String version, double seconds, double warmup, Path tradesPath) throws Exception {
        Trades expected = new Trades();
        long began = System.nanoTime();
        pass(expected, tradesPath != null);
        if (tradesPath != null) expected.write(tradesPath);
        int warmups = 1;
        for (; warmups < 2 || System.nanoTime() - began < warmup * 1e9; warmups++) pass(new Trades(), false);
        List<Long> passes = new ArrayList<>();
        for (long spent = 0; passes.isEmpty() || spent < seconds * 1e9; ) {
            Trades trades = new Trades();
            long took = pass(trades, false);
            if (trades.count != expected.count || trades.quantity != expected.quantity) {
                throw new IllegalStateException("two passes gave different trades");
            }
            passes.add(took);
            spent += took;
        }
        passes.sort(null);
        double median = passes.get(passes.size() / 2) / 1e9;
        int[] times = serviceTimes();
        System.out.printf(
                java.util.Locale.ROOT,
                "{\"engine\":\"%s\",\"version\":\"%s\",\"workload\":\"%s\",\"operations\":%d,\"passes\":%d,\"warmupPasses\":%d,"
                        + "\"seconds\":%.6f,\"opsPerSecond\":%.0f,\"trades\":%d,\"tradedQuantity\":%d,"
                        + "\"p50Ns\":%d,\"p99Ns\":%d,\"p999Ns\":%d}%n",
                name, version, flow.name, flow.steps, passes.size(), warmups, median, flow.steps / median,
                expected.count, expected.quantity, at(times, 0.5), at(times, 0.99), at(times, 0.999));
    }

    private static int at(int[] times, double share) {
        return times[(int) (share * (times.length - 1))];
    }
}
