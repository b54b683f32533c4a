import com.lmax.disruptor.BatchEventProcessor;
import com.lmax.disruptor.BatchEventProcessorBuilder;
import com.lmax.disruptor.BusySpinWaitStrategy;
import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.WaitStrategy;
import com.lmax.disruptor.YieldingWaitStrategy;
import java.util.concurrent.CountDownLatch;

/**
 * Disruptor, one producer to one consumer.
 *
 * <pre>
 *   P ──▶ [ ring of 2^16 events ] ──▶ C      P publishes one by one; C gets whatever has arrived
 *
 *   P  main thread: next, fill all 16 words, publish
 *   C  event processor: reads all 16 words
 * </pre>
 *
 * An event has 16 longs: 128 bytes, as a Verbex cell. The producer waits for room as the library has it (parking for a nanosecond); the consumer
 * spins or yields.
 */
final class DisruptorHandOff {
    static final int WORDS = 16;

    /** Fields, not an array: the event is one object, as the library advises. */
    static final class Cell {
        long a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7;

        void fill(long value) {
            a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = value;
            b0 = b1 = b2 = b3 = b4 = b5 = b6 = b7 = value;
        }

        long read() {
            return a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + b0 + b1 + b2 + b3 + b4 + b5 + b6 + b7;
        }
    }

    static final class Sum implements EventHandler<Cell> {
        private final long last;
        private final CountDownLatch done = new CountDownLatch(1);
        private long sum;

        Sum(long last) {
            this.last = last;
        }

        @Override
        public void onEvent(Cell cell, long sequence, boolean endOfBatch) {
            sum += cell.read();
            if (sequence == last) done.countDown();
        }
    }

    private static long handOver(Rates rates, long count) throws Exception {
        WaitStrategy wait = rates.wait.equals("yielding") ? new YieldingWaitStrategy() : new BusySpinWaitStrategy();
        RingBuffer<Cell> ring = RingBuffer.createSingleProducer(Cell::new, rates.slots, wait);
        Sum sum = new Sum(count - 1);
        BatchEventProcessor<Cell> processor = new BatchEventProcessorBuilder().build(ring, ring.newBarrier(), sum);
        ring.addGatingSequences(processor.getSequence());
        Thread consumer = new Thread(processor, "consumer");
        consumer.start();
        while (!processor.isRunning()) Thread.onSpinWait();
        long began = System.nanoTime();
        for (long value = 0; value < count; value++) {
            long sequence = ring.next();
            ring.get(sequence).fill(value);
            ring.publish(sequence);
        }
        sum.done.await();
        long took = System.nanoTime() - began;
        processor.halt();
        consumer.join();
        Rates.check(sum.sum, WORDS, count);
        return took;
    }

    public static void main(String[] arguments) throws Exception {
        Rates rates = new Rates(arguments, "busy-spin");
        rates.measure("disruptor", System.getProperty("peer.version"), WORDS * 8, count -> handOver(rates, count));
    }
}
