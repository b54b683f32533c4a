import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Trades and quantity so far; where a file is wanted, every trade of the steps as well (layout: bench/peers/README.md). */
final class Trades {
    private static final int RECORD_BYTES = 24;

    long count;
    long quantity;
    private ByteBuffer records;

    void keep() {
        records = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
    }

    void add(long taker, long maker, long price, long lots) {
        count++;
        quantity += lots;
        if (records != null) record(taker, maker, price, lots);
    }

    private void record(long taker, long maker, long price, long lots) {
        if (records.remaining() < RECORD_BYTES) {
            records = ByteBuffer.allocate(2 * records.capacity()).order(ByteOrder.LITTLE_ENDIAN).put(records.flip());
        }
        records.putInt((int) taker).putInt((int) maker).putLong(price).putLong(lots);
    }

    void write(Path path) throws IOException {
        try (FileChannel file = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
            ByteBuffer bytes = records.flip();
            while (bytes.hasRemaining()) file.write(bytes);
        }
    }
}
