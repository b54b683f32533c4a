import java.util.Arrays;
import java.util.Locale;

/** Options and answers of the hand-off harnesses: [--operations N] [--runs N] [--warmup N] [--slots N] [--wait KIND]. */
final class Rates {
    final String wait;
    final long operations;
    final int runs, warmups, slots;

    interface Run {
        /** Hands over so many values, 0, 1, 2 …; answers nanoseconds. */
        long run(long count) throws Exception;
    }

    Rates(String[] arguments, String waitDefault) {
        String wait = waitDefault;
        long operations = 20_000_000;
        int runs = 1, warmups = 2, slots = 1 << 16;
        for (int i = 0; i + 1 < arguments.length; i += 2) {
            String value = arguments[i + 1];
            switch (arguments[i]) {
                case "--operations" -> operations = Long.parseLong(value);
                case "--runs" -> runs = Integer.parseInt(value);
                case "--warmup" -> warmups = Integer.parseInt(value);
                case "--slots" -> slots = Integer.parseInt(value);
                case "--wait" -> wait = value;
                default -> throw new IllegalArgumentException(arguments[i]);
            }
        }
        this.wait = wait;
        this.operations = operations;
        this.runs = runs;
        this.warmups = warmups;
        this.slots = slots;
    }

    /** Warm-ups that do not count, then the runs: the median. */
    void measure(String engine, String version, int bytes, Run run) throws Exception {
        for (int i = 0; i < warmups; i++) run.run(operations);
        long[] took = new long[runs];
        for (int i = 0; i < runs; i++) took[i] = run.run(operations);
        Arrays.sort(took);
        double seconds = took[runs / 2] / 1e9;
        System.out.printf(
                Locale.ROOT,
                "{\"engine\":\"%s\",\"version\":\"%s\",\"topology\":\"1-1\",\"wait\":\"%s\",\"bytes\":%d,\"slots\":%d,\"operations\":%d,"
                        + "\"seconds\":%.6f,\"opsPerSecond\":%.0f}%n",
                engine, version, wait, bytes, slots, operations, seconds, operations / seconds);
    }

    /** What the consumer's sum must be: every word of every event was read. */
    static void check(long sum, long words, long count) {
        if (sum != words * (count * (count - 1) / 2)) throw new IllegalStateException("events were lost or changed");
    }
}
