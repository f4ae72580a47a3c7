-- People of two servers in one room. Both are external components (XEP-0114), spoken to without a library.

local socket = require "socket";

local function sha1(text)
	local pipe = assert(io.popen("printf %s '"..text:gsub("'", "").."' | openssl sha1 -r"));
	return assert(pipe:read("a"):match("^%x+"));
end

local deadline = socket.gettime() + 60 * (tonumber(os.getenv("DMUC_TEST_TIMEOUT_SCALE")) or 1);

local person = {};
person.__index = person;

local function connect(name, address)
	local self = setmetatable({ name = name, seen = "" }, person);
	repeat -- the server is starting
		self.conn = socket.tcp();
		self.conn:settimeout(1);
		if self.conn:connect(address, 5347) then break; end
		self.conn:close();
		assert(socket.gettime() < deadline, name.." takes no connections");
		socket.sleep(0.1);
	until false
	self.conn:settimeout(0.2);
	self:say("<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='people."..name.."'>");
	local id = self:expect("opened a stream", "<stream:stream.- id=['\"](.-)['\"]");
	self:say("<handshake>"..sha1(id.."secret").."</handshake>");
	self:expect("been let in", "<handshake");
	return self;
end

function person:say(text)
	assert(self.conn:send(text));
end

-- Waits until what has come in so far matches, from the beginning of what nobody has waited for yet.
function person:expect(what, pattern, ask)
	local asked = socket.gettime();
	if ask then self:say(ask); end
	while true do
		local found = self.seen:match(pattern);
		if found then
			print(("ok: %s has %s"):format(self.name, what));
			return found;
		end
		if socket.gettime() > deadline then
			error(("%s has not %s, only: %s"):format(self.name, what, self.seen), 0);
		end
		local text, err, part = self.conn:receive(65536);
		self.seen = self.seen..(text or part or "");
		assert(text or err == "timeout", err);
		if ask and socket.gettime() - asked > 1 then
			asked = socket.gettime();
			self:say(ask);
		end
	end
end

local crone = connect("shakespeare.lit", "127.0.81.1");
local witch = connect("macbeth.lit", "127.0.81.2");

crone:say("<presence from='crone1@people.shakespeare.lit/desktop' to='coven@chat.shakespeare.lit/firstwitch'>"
	.."<x xmlns='http://jabber.org/protocol/muc'/></presence>");
crone:expect("made a room", "<presence.-firstwitch.-code=['\"]201['\"]");
crone:say("<iq type='set' id='make' from='crone1@people.shakespeare.lit/desktop' to='coven@chat.shakespeare.lit'>"
	.."<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>");
crone:expect("configured it", "<iq[^>]-id=['\"]make['\"][^>]->");

witch:expect("found its shadow", "<item[^>]-coven@rooms%.macbeth%.lit",
	"<iq type='get' id='find' from='wiccarocks@people.macbeth.lit/laptop' to='rooms.macbeth.lit'>"
	.."<query xmlns='http://jabber.org/protocol/disco#items'/></iq>");
witch:say("<presence from='wiccarocks@people.macbeth.lit/laptop' to='coven@rooms.macbeth.lit/secondwitch'>"
	.."<x xmlns='http://jabber.org/protocol/muc'/></presence>");
witch:expect("seen the first witch in the shadow", "<presence[^>]-coven@rooms%.macbeth%.lit/firstwitch");
crone:expect("seen the second witch in the room", "<presence[^>]-coven@chat%.shakespeare%.lit/secondwitch");

crone:say("<message type='groupchat' id='m1' from='crone1@people.shakespeare.lit/desktop' to='coven@chat.shakespeare.lit'>"
	.."<body>Thrice the brinded cat hath mew&apos;d.</body></message>");
witch:expect("heard the first witch", "<message[^>]-coven@rooms%.macbeth%.lit/firstwitch[^>]->.-Thrice the brinded cat");
witch:say("<message type='groupchat' id='m2' from='wiccarocks@people.macbeth.lit/laptop' to='coven@rooms.macbeth.lit'>"
	.."<body>Thrice and once the hedge-pig whined.</body></message>");
crone:expect("heard the second witch", "<message[^>]-coven@chat%.shakespeare%.lit/secondwitch[^>]->.-Thrice and once");
