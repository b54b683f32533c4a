import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/** A workload file (layout: bench/peers/README.md), read into columns before any clock runs: prefill rows first, then the steps. */
final class Flow {
    static final int NEW = 0, IOC = 1, FOK = 2, CANCEL = 3, MOVE = 4, REDUCE = 5;
    private static final int HEADER_BYTES = 64, RECORD_BYTES = 32;

    final String name;
    final int accounts, orders, prefill, steps;
    final long priceMin, priceMax;
    final byte[] op;
    final boolean[] sell;
    final int[] order;
    final int[] account;
    final long[] price;
    final long[] quantity;

    Flow(Path path) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
        byte[] text = new byte[16];
        bytes.get(0, text);
        String head = new String(text, java.nio.charset.StandardCharsets.US_ASCII);
        if (!head.startsWith("VBXFLOW1") || bytes.getInt(16) != RECORD_BYTES) throw new IOException(path + " is not a workload");
        if (bytes.getInt(20) != 1) throw new IOException("only workloads of one symbol can be run");
        name = head.substring(8).replace("\0", "");
        accounts = bytes.getInt(24);
        orders = bytes.getInt(28);
        prefill = bytes.getInt(32);
        steps = bytes.getInt(36);
        priceMin = bytes.getLong(40);
        priceMax = bytes.getLong(48);
        int rows = prefill + steps;
        op = new byte[rows];
        sell = new boolean[rows];
        order = new int[rows];
        account = new int[rows];
        price = new long[rows];
        quantity = new long[rows];
        for (int row = 0; row < rows; row++) {
            int at = HEADER_BYTES + row * RECORD_BYTES;
            op[row] = bytes.get(at);
            sell[row] = bytes.get(at + 1) != 0;
            order[row] = bytes.getInt(at + 8);
            account[row] = bytes.getInt(at + 12);
            price[row] = bytes.getLong(at + 16);
            quantity[row] = bytes.getLong(at + 24);
        }
    }
}
