import io.aeron.Aeron;
import io.aeron.CommonContext;
import io.aeron.ExclusivePublication;
import io.aeron.Subscription;
import io.aeron.driver.MediaDriver;
import io.aeron.driver.ThreadingMode;
import io.aeron.logbuffer.BufferClaim;
import io.aeron.logbuffer.FragmentHandler;
import org.agrona.DirectBuffer;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.BackoffIdleStrategy;

/**
 * Aeron IPC, one publication to one subscription, in one process.
 *
 * <pre>
 *   P ──▶ [ log of three terms, shared memory ] ──▶ C
 *
 *   P  main thread: tryClaim, fill all 16 words, commit; spins while there is no room
 *   C  polls up to 256 fragments at a time, reads all 16 words; spins while there is nothing
 *   D  embedded media driver, one thread (SHARED), which is not in the data's way but moves P's limit after C; it backs off to
 *      sleeping for up to 1 ms, as two cores are for P and C
 * </pre>
 *
 * A message is 128 bytes, as a Verbex cell, and 32 of frame. Terms are of 64 MiB, the driver's default: with terms of 8 MiB, which hold about as
 * many messages as the other rings have slots, P waits for D most of the time.
 */
final class AeronHandOff {
    static final int WORDS = 16;
    private static final int STREAM = 1001;
    private static final int FRAGMENTS = 256;

    private static final class Consumer implements Runnable, FragmentHandler {
        private final Subscription subscription;
        private final long count;
        private long sum, seen;

        Consumer(Subscription subscription, long count) {
            this.subscription = subscription;
            this.count = count;
        }

        @Override
        public void onFragment(DirectBuffer buffer, int offset, int length, io.aeron.logbuffer.Header header) {
            long words = 0;
            for (int word = 0; word < WORDS; word++) words += buffer.getLong(offset + word * 8);
            sum += words;
            seen++;
        }

        @Override
        public void run() {
            while (seen < count) if (subscription.poll(this, FRAGMENTS) == 0) Thread.onSpinWait();
        }
    }

    private static long handOver(ExclusivePublication publication, Subscription subscription, long count) throws Exception {
        Consumer consumer = new Consumer(subscription, count);
        Thread thread = new Thread(consumer, "consumer");
        BufferClaim claim = new BufferClaim();
        thread.start();
        long began = System.nanoTime();
        for (long value = 0; value < count; value++) {
            while (publication.tryClaim(WORDS * 8, claim) < 0) Thread.onSpinWait();
            MutableDirectBuffer buffer = claim.buffer();
            int offset = claim.offset();
            for (int word = 0; word < WORDS; word++) buffer.putLong(offset + word * 8, value);
            claim.commit();
        }
        thread.join();
        long took = System.nanoTime() - began;
        Rates.check(consumer.sum, WORDS, count);
        return took;
    }

    public static void main(String[] arguments) throws Exception {
        Rates rates = new Rates(arguments, "busy-spin");
        String folder = CommonContext.generateRandomDirName();
        MediaDriver.Context driverContext = new MediaDriver.Context()
                .aeronDirectoryName(folder)
                .threadingMode(ThreadingMode.SHARED)
                .sharedIdleStrategy(new BackoffIdleStrategy(1, 1, 1_000_000, 1_000_000))
                .dirDeleteOnStart(true)
                .dirDeleteOnShutdown(true);
        try (MediaDriver driver = MediaDriver.launch(driverContext);
                Aeron aeron = Aeron.connect(new Aeron.Context().aeronDirectoryName(folder));
                Subscription subscription = aeron.addSubscription("aeron:ipc", STREAM);
                ExclusivePublication publication = aeron.addExclusivePublication("aeron:ipc", STREAM)) {
            while (!publication.isConnected() || !subscription.isConnected()) Thread.onSpinWait();
            rates.measure(
                    "aeron-ipc", System.getProperty("peer.version"), WORDS * 8,
                    count -> handOver(publication, subscription, count));
        }
    }
}
