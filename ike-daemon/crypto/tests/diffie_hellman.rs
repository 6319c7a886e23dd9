//! Diffie-Hellman groups held to known answers: RFC 5903 section 8 (ECP), RFC 7748 section 6.1
//! (Curve25519), and MODP values computed with Python's `pow`.

#![allow(clippy::unwrap_used, clippy::panic)]

use hex_literal::hex;
use ike_crypto::{DhError, Group, PrivateKey};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

struct Vector {
    group: Group,
    private: &'static [u8],
    public: &'static [u8],
    peer: &'static [u8],
    shared: &'static [u8],
}

/// The MODP values in Python, with p = 2^n - 2^(n-64) - 1 + 2^64 * (floor(2^(n-130) * pi) + c) and
/// bits as RFC 3526 section 8 suggests; the last one was searched so that the shared secret begins
/// with a zero octet:
///
/// ```text
/// secret = lambda t: int.from_bytes(hashlib.shake_256(f"{t} {n}".encode()).digest(bits // 8), "big")
/// a, b = secret("a"), secret("b"); public, peer, shared = pow(2, a, p), pow(2, b, p), pow(2, a * b, p)
/// ```
const VECTORS: [Vector; 14] = [
    Vector {
        group: Group::Ecp256,
        private: &hex!("c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433"),
        public: &hex!(
            "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
            "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3"
        ),
        peer: &hex!(
            "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
            "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab"
        ),
        shared: &hex!("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"),
    },
    Vector {
        group: Group::Ecp256,
        private: &hex!("c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53"),
        public: &hex!(
            "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
            "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab"
        ),
        peer: &hex!(
            "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
            "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3"
        ),
        shared: &hex!("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"),
    },
    Vector {
        group: Group::Ecp384,
        private: &hex!(
            "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655"
            "e35b538041e649ee3faef896783ab194"
        ),
        public: &hex!(
            "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6"
            "de3ac808acb4bdb4c88732aee95f41aa9482ed1fc0eeb9cafc4984625ccfc23f"
            "65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c"
        ),
        peer: &hex!(
            "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d"
            "0d1ac43a0336def96fda41d0774a3571dcfbec7aacf3196472169e838430367f"
            "66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c"
        ),
        shared: &hex!(
            "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4"
            "d603135569b9e9d09cf5d4a270f59746"
        ),
    },
    Vector {
        group: Group::Ecp384,
        private: &hex!(
            "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942"
            "e0308312916b8ed2960e4bd55a7448fc"
        ),
        public: &hex!(
            "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d"
            "0d1ac43a0336def96fda41d0774a3571dcfbec7aacf3196472169e838430367f"
            "66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c"
        ),
        peer: &hex!(
            "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6"
            "de3ac808acb4bdb4c88732aee95f41aa9482ed1fc0eeb9cafc4984625ccfc23f"
            "65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c"
        ),
        shared: &hex!(
            "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4"
            "d603135569b9e9d09cf5d4a270f59746"
        ),
    },
    Vector {
        group: Group::Ecp521,
        private: &hex!(
            "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a0"
            "95aa85a30fe1c2952c6771d937ba9777f5957b2639bab072462f68c27a57382d"
            "4a52"
        ),
        public: &hex!(
            "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbe"
            "e1e3bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176c"
            "ed3e017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4"
            "a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3"
            "926f9582"
        ),
        peer: &hex!(
            "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a21"
            "9b97c356436adc6e95bb0352f6be64a6c2912d4ef2d0433ced2b6171640012d9"
            "460f015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d985207"
            "7b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd1"
            "7f0fc56a"
        ),
        shared: &hex!(
            "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04"
            "d1427e73ca4baa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3"
            "ddea"
        ),
    },
    Vector {
        group: Group::Ecp521,
        private: &hex!(
            "0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e"
            "9c677d600b343757a3bdbf2a3163e4c2f869cca7458aa4a4effc311f5cb15168"
            "5eb9"
        ),
        public: &hex!(
            "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a21"
            "9b97c356436adc6e95bb0352f6be64a6c2912d4ef2d0433ced2b6171640012d9"
            "460f015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d985207"
            "7b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd1"
            "7f0fc56a"
        ),
        peer: &hex!(
            "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbe"
            "e1e3bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176c"
            "ed3e017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4"
            "a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3"
            "926f9582"
        ),
        shared: &hex!(
            "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04"
            "d1427e73ca4baa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3"
            "ddea"
        ),
    },
    Vector {
        group: Group::Modp1024,
        private: &hex!("d9d80f7fc2b88d45658bb6353ae655ed94839ae1191e6c6c27cea61bdb62e095"),
        public: &hex!(
            "a1941fb5cc62570163630d92d6de3bce16399ccc2a2eb6950012fc636672fb9b"
            "0a0fe2747eaf083b3432ebe931b698bb8c32d5e3e1a74fd25db0fe7235b4be4c"
            "c0232243252c0785a32dda4a552aa18de1bd4e127275d95688466c21433678db"
            "0ae6266e278e0fcad31985d675d9e2a9d8d0fabfcc03e6808f4cfbab13b02c47"
        ),
        peer: &hex!(
            "1924f0dbf79b765cf511fece4a5f70bc46ce7951fe5afcf3b509d49fcc3c5926"
            "3d00565b61da9dc95caa40b2bb3866f99c933498de277bfe83eaf3b55de411f7"
            "30a2d88fef4f3684aee32780e52eb26903606e62ce6c635fbcd9fa43b8d7a1de"
            "4a2251142b81e488e699a8a9dfec2af333cf35ee220c2dfceb29ff88daf176b2"
        ),
        shared: &hex!(
            "59e2c645dbc7adfd79b8fc1f4d83ef60f4b3d8473bfdd54ec073dadc4e9d76d6"
            "c3c2844c7795d6bfe00f526f3be651868efa8a814bf7a72a6b8632dfabebc210"
            "455e0fc03efdbf9e55462c0cf4547adae8ed9a4352931924ba7bd89b954edfe1"
            "40a844d386edf8ea54cfb8479ce03b510b0d7fbffe68b8d471e86f77fdba0a6d"
        ),
    },
    Vector {
        group: Group::Modp1536,
        private: &hex!("c80d2e579e49cb1e04a0cebabe848de5590f4c170a92973cba07030000aa09cd"),
        public: &hex!(
            "ff03333914e9f4ae5d9f021fe99d36b9e7d2567fba4756138954a839d516b35d"
            "de07e96a9eef5bce75c04e55b86aedd3c425d73b4c4cf80be3510bc67365586c"
            "416ad995eeec7ea7d31a79eeaee5f8bd407a5df68c7b2c64b8778529b00173ac"
            "4752e6110d25e996b14c93fb27d7b7bf6aee588b87261d425969082aebcf348d"
            "b928578c1644e96facb9ca371b863b7394db74ba46d0fac891de519224504356"
            "495558e5c8014f2eb76d11bbbc8b3db9c1249c70404977b01922fd91ba5eca48"
        ),
        peer: &hex!(
            "03578f2bf23228071f596af4e53a7f9c16142f71008bbb92d20c4f9b68bc9535"
            "a6e4cb2b38070263b56af589de608df5aeb08599ca9ef03e995ea498789baf77"
            "56c115a186ea7f804a6e1a640601eca57289dfdc109ab4125dacc4b481e47b9b"
            "f1447a9b54c3b0c9679ab0feb760af3b6e2f70e051e9c1792ba6645eed0104b9"
            "b53dcd09beef50e784017e429258db055b7bc7ae82c2862ae9a8d7e862f3b0cd"
            "4317c8138f292930ff564ce6547b26290bf52bd3d4204e6410db0dc1195ef055"
        ),
        shared: &hex!(
            "ea5d4397c1590cd987833865b6cd8f5e028bfcb827664e508e67a62784df10e6"
            "4a584b05c3d3edb256b93198875679667959269ecbc753e8df835e9d50b89130"
            "0f4b26e25993ab494f0bbf452e98fc6866cc65d802e86e32a9d9ab5a8e1436fa"
            "1a4722a6e4c2a4442ca0c400c6635b3ee2109c4ac1a6c8ae4fb60d4efd2bac15"
            "c1cb0cbd39298969c04b24006da5f1ba5c9f8700670ea12c94df80140da5ceb0"
            "062feaea9abd00e1f1f3f4484b98c4906cfea65270371bb86b7829d6ad8d599d"
        ),
    },
    Vector {
        group: Group::Modp2048,
        private: &hex!(
            "8224bf1def94c8f736a57875ff0f8652a1a124278cebc3c2f4ca561ab5244a5b"
            "8cd8ccc5a2107697"
        ),
        public: &hex!(
            "8ef8fb06e6da6a69848c326805265835d25983321c9d841e8d2db0a9f25414cc"
            "033b7449c3ed58251a7251562119224ef6735dfe299b5a1672c73f5f152bba14"
            "d0ab1ce47ac6cc5bafe0390c5fd60a8cb6fa9bed9e0a19dc2d8acf48bbac72b7"
            "24aa291263bfeccf247fec73e07988c0d985f6b351323fc7d25814f46a12b647"
            "f4a3c37f7d9c6499406eaccdf6ed9e4c6962bd650adf235bbfe3568f5111ac24"
            "8a59461e3ce72859209072e66306c982c217dda3552d3c677e0764f714afa559"
            "ce914ceef19be9a16e5b693d3b9106ad46e03a51cc5ca5bd482f0e0c7b1f0ee4"
            "ea37ec861a7ffc3b960528bde2ea6da1ede681554d25a32589854c920d32b0b9"
        ),
        peer: &hex!(
            "4c0b9e5d7d422d71791b8287d10b08acd7a407db1f427dddeb900e56e26ec994"
            "e06dd2f86aa680f081e0b75beee9a325600657bfccde9255483741fd54f96edb"
            "15f3ac6054b16248a9f68f7ddb260a26a6c23296ecf89c8111a2e1652bd08993"
            "33d0c2c3d602ca96f26b5e9b7958addba848093a45b9807285f34cabe7d2118d"
            "583899fafcf7e278d8ef3cfac1c6e167e9cfbd9519e81145ee8206205152401b"
            "8044f6a8bb3d02c8b5bdde261c17c151ddd379992096eedc4eab4b89169eb16a"
            "c4b9c82929e84e1ff2234b2a7c9dc240e34165efb930bdee339a50d2ab2ca06a"
            "f370778259edc35e62385ec52fb86abfe807d75da787ce860b7b8d7aac88f9ed"
        ),
        shared: &hex!(
            "21fcd6fb10e263900d8384012f3a69622dd8bb9291bc21f718e574938f25241a"
            "30397a4583d4df34510650136fa36c6bee0eaed88528d48e2078b6f98371ae24"
            "dcac7e4d0b6a309a90366b6c56aa26011f74a60f9afc70f5a997b39ace86d728"
            "ac43771259198da32b52d589d9f154a095033d1c2a236089e375be9c88c5e7c9"
            "e8b0550488dc0ccef8f45b51091bd9942d2d3dcf1c6a1707c397de1105f62497"
            "188e36ceed12057ad1c0acdd03018cb0fb0d95f30679ace5277302c7d23e723b"
            "cb1d893fc7977af519e82f1b4a0e0271364a8f56999c3ab8b8060195f8c6d900"
            "2bc023edde3dafb1671fef48b6e116927b9f8596d2f789de55ce71b84c6f0015"
        ),
    },
    Vector {
        group: Group::Modp3072,
        private: &hex!(
            "e8dd45612b8d6c43da467c9fa950a8795732e0ac9d64924da729ffee481c4554"
            "63116cfd46aedbdb9b4223c4fb180a446ad6d1afdcaead36"
        ),
        public: &hex!(
            "526eb222d187e6ca940cb7aff304c32cf144c78c4ad3eee6ac6f3703900aafcc"
            "f8ebfbba9233d4ef650f94e342ee938b1c9874469235466c3cb80b6400dae254"
            "bc1211b3aa98873f6ebf2071c67e3b08ca499c1d63be466db6f7e38fcb7f89d0"
            "3438b739b94519e6efcf1c60b573a63a76f2a86c0547292c723fe2a32f8b98fd"
            "d30a200992f7d5be314a0078c9e03b1d0ccc9e03fa22b0f1e3c60682a3736989"
            "22eb83f34a33c043d25e3f0730ee4a760c0cbe67c183baba99d13e3a36d126ab"
            "767c4da076ee1fd51275f05b3f9972f605fa90b0419fe6682951a784259ca73e"
            "15fb096a6751695984bdd15e87d606cdd0030171a233407668d11020fba16c23"
            "a0a6bab27e13fc6894340f8ccb014ed772864e671f1f6e0f69c09ca05ad39896"
            "20c0b02de60642568c03193ade505639c181e442d5f7e779298a3e0a6bcab6d2"
            "4462d156537c842ef0a78c46671098b85f347b250018953c05af05373bb9b2f0"
            "30ef4ed36fd5f995d0f6d1567c68bf1e6b0cfef5dccc0545680656a379da395a"
        ),
        peer: &hex!(
            "a9621a3ea3a69d097a9343fff4d14ab533f7b8c07dafde7743e4bf7d2bd2cf4e"
            "5de68c38d601cbc8ba189836753f923fd7fd06c63f0518a4c0b0273735fb70df"
            "42cd2c1043ac29bac5e6d18d5797daadd21553032e618532e40f67ba406fdd83"
            "faf87955152eadb1a32df66749c3993831619f19bbe504ee22339c9ca07191f3"
            "44d855dad8ea27d3c64437afbe6b46daf816670e669b31dd27fbc4320fb2fe61"
            "7e895da9f31f31bd70495a102c3dda95c1d40d99ae0eecee914b2cd5e8a410cc"
            "5308cefb8bcff5285f734420205f7e7a10db19041c5f0932130497009270f7ee"
            "02b16de9541041e81b2f8c519493a5d3554029b7562d19400404d1d7f76788ff"
            "59d83de654e59dde709b5e16296e5ce93f54ac2e7003cf314782f12893351706"
            "927b7fcfd1e1927eae7f3190cf24abe52c63dc4c5b9842aa6764d198c5951432"
            "0a96ffadfaa9e43fb60615be1c32c607c1b36b5f4b4138ec2d708dfad8c62c93"
            "983310ac6cde4c8988089df9d57931f6d5e2892c76984fd4faf9495b0279f07b"
        ),
        shared: &hex!(
            "d71a8428cbcbca0906311d1bd6bd8cc9a644ef49db02ff3b3593e8a230b32a3b"
            "59dfbb857b6dd178392ad653dcc73ca56fd464ba16b0939743bf9580b21500f8"
            "1e96b4e904dc0357ed838cf8d71455c7ae93098c6a8200358b9294b470a4b5a5"
            "e386783942f8d60690e56c8bcb5a223fa6191c2be768a2f98eb84e1d459d209f"
            "c90400544e61a39afd58ee8ad70f76c3f5126e83fc4b5c018dab7d0cce3231d7"
            "461e9f0d32838a5f38b7a7de8de03fb902fd6ac3fc0638b6df90023aec7aa1f8"
            "a29946f499714dc8674c4ae0050a2059121c731e9312d3733d210e678b8f6490"
            "11adf49ffb62de1850b4d9da2e707482d9971b67f5495130d0d482803dc147a6"
            "90d9ec8248301b215df19d170ff3e4de9b725111f587bd045f7f14d067415282"
            "f914aec70776412742f40840844332cf4826a679747f4831ad15cdbb968c7124"
            "de8863998314ebe29dc0f0ca5e4f07ae21524a1f0b52310741ae7459793f1223"
            "8a3e7df049c3b2a23fcbb0b3572b131ae2077ecee6c92831173d48b3382d180c"
        ),
    },
    Vector {
        group: Group::Modp4096,
        private: &hex!(
            "28d48c9a2f2374113d3af186783f2bae828e1af7dc09e2f902fdbc1221a95a22"
            "01e6276d853fa852b06bf11498811027e84d0631cbacab455e4f7820234adefa"
        ),
        public: &hex!(
            "1a2726bdd29511c8d2e54e336b45637954fb11bf3ad1445316581020e78917a6"
            "055a723bee589280b6d565cc81ce86cd9c2baa72c205e905dbfec57cfbabc705"
            "ebdbd1475c41836a2de3c80cfb7059d13927426b018f3abb16abafcbc194fadb"
            "a7f1c400876945b79ff1dd0af91539af89bab46dda92590869a70849ea1417fc"
            "2359a6bbd1cd71759e2e50e7b2e6c09c142c950df25d1a5b50aa8c5abd11c518"
            "03ba060418c6bd11bf1fae18268360f4d70694ba19b4bdc3d50ffd26a6a75560"
            "f80960e39c8b9b500e0d9260cdc61e50825b244dba0f38e40cf32126875b67c7"
            "7a358ecc4ea011eb11eff5feb36af69680b2da4f32aa11e76acdc48dfe8b300a"
            "a543c96d65df9c6c5a41767bb8c6aa218dea500eca0fbe3b870022a3be7eef0c"
            "b99be52dd8a835f920d58d2c6efd585be9962032c99227b66df9d38a7effd4a3"
            "f741116d3139addef4438dea2a49fa0eab97ca1f6a2f9bb799b29e7e6b4b3c9f"
            "5b6fd511551a76a53cfa414fa101e1f28efdc7f360edc1aaf741737ef272c9ec"
            "c0c23a914924d90f13e6fb13cc7ab1e792ad110a07ab0d0128dcf0951a03ddfd"
            "4dce935ddd4c2a99a3a6e6d5c64e084a7973b06df3ca576bba9cefca33c1c1ae"
            "7ed683fa8d5f02998e923e925318f199c3223905a1f7be333fbbb2f9efaab9dc"
            "78acfecbef9a610eaeb5b12368daf707e9c6265bc17056206f9743a00deec1f9"
        ),
        peer: &hex!(
            "644b8f85c88c415215a02eda920a2388dfc2049ca1050fd7a3fc41dceb50a030"
            "4a2034d077665a216c1fa25f7c5a1d9895712140c9a5d20b478835720cc098c1"
            "c05fc8f4bf20cadd3c14f0e97db80e3c673553e10ff7323563d36e9ea918c326"
            "35b5fd2e21328fb77861ad9381067fc9e18309a49bb7de296a0316e4b92f5484"
            "6ccab538fdb940c430a208389f929bf7e2eb460097561b93a2bf83e7a1538cc3"
            "6f3dd8973812f6ede3620de199932d42def861df35f949af576d774153821613"
            "dff4bb2658c9f3bc2ebb99f51590b2b40686373d00bfbadd7042a68794da8af5"
            "fd9b3b9d10ec253b83383d38ddbddb1b3d683f55b4b84fd598b2d49a98edd65c"
            "f687f42025072b2fd457f13dead14a1fe1dfd6d8a1246ff4cb529e579696143c"
            "62355ce021ac860d3d4f5079cd63a38fd3ecc8d0835952a91a912c7151dc6ee2"
            "5b35e650b396b7bd7b4df8b78bc91b35ca4555ebd36d06a0c4c85036a7b9117b"
            "9ca239366a58b71fb4a2f3ddf30cad2e716cf32ac1f630c2651d30f7359355ba"
            "5dceedc5144d8ff4a28483648ed40f98b354023952d6d88c3e6b7033d4a6a209"
            "eb5d3025508878eef5ca1f9f5a9d191b8d5f3fa8896ca199d15dfde21a798e12"
            "cdc4ed119d514d417424efe856ed2ffd8bfffe19b3c18d980be4b6c9f102a91d"
            "3f3d266f1ca52bc8e4c688d58809660dda88295a0f967432a418a0803b1ec573"
        ),
        shared: &hex!(
            "dbbeeb1e3c1c04d798263800fb081c5788d22185fd962c66dae151f0af023978"
            "dce1ddf5cdaad09a604fa5ad39fc505a62203d00068959cbdde6c23e7ba8bbc7"
            "5483d0b4848eebbbe28c777ac1eb2c6413732ef1d13216c2000bc4f5fec21add"
            "b750b08903848e3e2d7d4bdbb7dbc632180560561d75883ce693e5a460e19171"
            "d6c21dee9f1ba13ae65394987ea3620ca33078f3945d1f2eb45a0ca5b0374b1a"
            "fae0e1314f709cf71690a2818dc61f96722f73c0b2ba5180ff0ad7522d01354d"
            "c44f332e49db099fead410c42e0af05edad5aed141673e5e0d86e7cf59d16481"
            "c2f0246ce120aa34de0c9eba64225a806bca5d66bc0c458ef1dfa70ada208435"
            "003855efd405a3040b9051a180deaa0201ff16f740bd5c9254ab0079ee286979"
            "96b6c358b773a6964f2cb6369845e9536881ed893a3c2dae4e3f431727e7228e"
            "486e5dbc67c6d2d4c1a166ebac3e4680b7a1a5a14a6b712933ae9a228aebc856"
            "500c7d33ea3eb7171d4c75ecca14e151a915e1d31405c7ac56744ecbaff8a972"
            "1e2cc3152dfe8c8990aa56faca8a0638480cafec6e5c135726909a2faf4bff0d"
            "f77921a1942e4e782844a0e0e0ff5d74c10038d6c8e267bc31b5a56ffc4f2634"
            "1d6c5c6c64460fdca6a8bfa4623afa100717e3b1c30637a6f2ef0cf2c3c05dc1"
            "8f49c375306181b891a3caf5241c2fc98d5d4e6739c2a53ed77c07c2e07d1825"
        ),
    },
    Vector {
        group: Group::Modp1024,
        private: &hex!("d9d80f7fc2b88d45658bb6353ae655ed94839ae1191e6c6c27cea61bdb62e095"),
        public: &hex!(
            "a1941fb5cc62570163630d92d6de3bce16399ccc2a2eb6950012fc636672fb9b"
            "0a0fe2747eaf083b3432ebe931b698bb8c32d5e3e1a74fd25db0fe7235b4be4c"
            "c0232243252c0785a32dda4a552aa18de1bd4e127275d95688466c21433678db"
            "0ae6266e278e0fcad31985d675d9e2a9d8d0fabfcc03e6808f4cfbab13b02c47"
        ),
        peer: &hex!(
            "9ac881df07f4ab0fe723bec1a2ac967f447dc356f95ed3e88e7c1b43f9d737c6"
            "8a268f314a0c39fe8403b1720b5447ee5ce4d48f17cb14b4ed6568e5827ecd45"
            "c4a956038975fc7fe6eacbc29eaeab59be2cfddd3ad4f6c78358fa990239e59b"
            "534aee3397ed5f93447a0cbf83c78b0b8a618dc61447727892d54c268482441b"
        ),
        shared: &hex!(
            "00428b069a8c6bf3b142a9a1f80db5a3996e38110e721475fb01cfd3bd47de17"
            "ff5863e69b00f4ca4542eef7fdf11961e6f48b338aefe9523709b5745aea97dd"
            "e2c9b3935be168fcdeb74e25290c61a947554ba0884548f09ae29590a320c2f5"
            "b6220c62a768cb68fd3907b8fd3e94b4388502985c88c0ab505e5b8ab425d79c"
        ),
    },
    Vector {
        group: Group::Curve25519,
        private: &hex!("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
        public: &hex!("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"),
        peer: &hex!("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"),
        shared: &hex!("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
    },
    Vector {
        group: Group::Curve25519,
        private: &hex!("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
        public: &hex!("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"),
        peer: &hex!("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"),
        shared: &hex!("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
    },
];

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

#[test]
fn known_answers() {
    for vector in VECTORS {
        let key = PrivateKey::from_bytes(vector.group, vector.private).unwrap();
        assert_eq!(key.group(), vector.group);
        assert_eq!(key.public(), vector.public, "{:?}", vector.group);
        let shared = key.agree(vector.peer).unwrap();
        assert_eq!(shared.expose(), vector.shared, "{:?}", vector.group);
    }
}

/// A shared secret that begins with a zero octet keeps it. The public value is the one of Ruhr
/// University Bochum's `testComputeDHSecret`, whose exponent is longer than those here; with this
/// one the result is Python's `pow`.
#[test]
fn a_shared_secret_keeps_its_leading_zero() {
    let exponent = 1447u32.to_be_bytes();
    let key = PrivateKey::from_bytes(Group::Modp1024, &exponent).unwrap();
    let shared = key.agree(&hex!(
            "b8c8f889d2105ec783b99a62fd792a48628ccad1d30a9bd19cb0a8d5be155a7a"
            "22f86386e8592a683ce01a8cbe77e48e45702ba82e6e73831e7400adb77d45e8"
            "73a3228aa4b76ef02443681fd8cdda76716a90a4c8006dcbdbd6425a1e2afc8b"
            "8c9837ffd53a69d7747a12a6231abcdf9b887742e25a86b5c516bfd7cc0f29c8"
    ));
    assert_eq!(
        shared.unwrap().expose(),
        hex!(
            "00236450ae50bb768826f5b5ed71c1aab897e3b41cd7a3094be4ac59db8ab2f2"
            "d73b5e6b2173dda08490ce1d146cffa4be4ee033a5c1ecd3d345153d3765ee3a"
            "0004617f894cf93d61659c6f9cf4c8b706762becb0f3e515791554ec422d928e"
            "f8e6964e0c14790ea8d0935fe4100bf1d1458503499eee26e4d01919b786b09a"
        )
    );
}

#[test]
fn both_sides_agree_in_every_group() {
    let mut rng = rng();
    for group in Group::ALL {
        let (a, b) = (group.generate(&mut rng), group.generate(&mut rng));
        assert_ne!(a.public(), b.public());
        assert_eq!(a.public().len(), group.public_len());
        let shared = a.agree(b.public()).unwrap();
        assert_eq!(shared, b.agree(a.public()).unwrap());
        assert_eq!(shared.len(), group.shared_len());
    }
}

#[test]
fn refuses_public_values_of_another_length() {
    let mut rng = rng();
    for group in Group::ALL {
        let pair = group.generate(&mut rng);
        let want = group.public_len();
        // MODP values may lack leading zeros.
        let short = match group.prime() {
            Some(_) => want - 5,
            None => want - 1,
        };
        for got in [0, 1, short, want + 1, 1024] {
            assert_eq!(
                pair.agree(&vec![2; got]),
                Err(DhError::Length { got, want })
            );
        }
    }
}

/// A private value and a public one that begins with a zero octet in MODP 1024, and their common secret,
/// by Python's `pow(x, y, p)`.
#[test]
fn leading_zeros_of_a_modp_value_may_be_missing() {
    let own = hex!("e43c120279439b25520c725f15dad937aed0a816af57038068283545119b130d");
    let peer = hex!(
        "004725eec5af0ef37b40c74bb033a861a25ab6922d214522d61e112af07073fb2ecce909d037050cd15bfde1e33b0283"
        "9d5622b5e37de1c6db18e81248ba2a9c85e720a888d92ec7a2a06fc1ee30eee7b9cb321fe4c972d6782282d60d699da6"
        "9a36426961ab9e130b36b4efe72d959dd6556922e039b036c63bc08d14f6ea7e"
    );
    let shared = hex!(
        "281a17da2c14bde3c53fff3dbfa804ea0ab9f4392b3ade7914d07e7563cc3fcabcb2e3b48d1199c97bbe2e35f3505735"
        "f618681f33d5502a9746fa09b4bee170fce5d406ee777c2898717f28828fd7b9ba7de28006aa99de0048f99bca1d8ad9"
        "50b70e9f32b088a7cff3f512ccc238e53af01c21c401044c7ecdf71e4ec08130"
    );
    let own = PrivateKey::from_bytes(Group::Modp1024, &own).unwrap();
    for public in [&peer[..], &peer[1..]] {
        assert_eq!(own.agree(public).unwrap().expose(), shared);
    }
    // The numbers 2 and 1 without their zeros are what they are with them, however short: too short here.
    let two = [0, 0, 0, 2];
    assert!(matches!(
        own.agree(&two),
        Err(DhError::Length { got: 4, .. })
    ));
}

/// 0, 1, p - 1, p, p + 1 and the largest number of that length, for every MODP group.
#[test]
fn refuses_modp_values_outside_of_the_group() {
    let mut rng = rng();
    let groups = [
        Group::Modp1024,
        Group::Modp1536,
        Group::Modp2048,
        Group::Modp3072,
        Group::Modp4096,
    ];
    for group in groups {
        let pair = group.generate(&mut rng);
        let number = |value: u8| {
            let mut bytes = vec![0; group.public_len()];
            *bytes.last_mut().unwrap() = value;
            bytes
        };
        // p - y for a small y: p ends in sixty-four one bits, so only the last octet changes.
        let below_p = |y: u8| {
            let mut bytes = group.prime().unwrap();
            *bytes.last_mut().unwrap() -= y;
            bytes
        };
        for bad in [
            number(0),
            number(1),
            below_p(1),
            below_p(0),
            vec![0xff; group.public_len()],
        ] {
            assert_eq!(pair.agree(&bad), Err(DhError::NotInGroup), "{group:?}");
        }
        // 2 and p - 2 are in the group: 2^x is our own public value.
        assert_eq!(pair.agree(&number(2)).unwrap().expose(), pair.public());
        assert!(pair.agree(&below_p(2)).is_ok());
    }
}

#[test]
fn refuses_points_that_are_not_on_the_curve() {
    let mut rng = rng();
    for group in [Group::Ecp256, Group::Ecp384, Group::Ecp521] {
        let pair = group.generate(&mut rng);
        let mut peer = group.generate(&mut rng).public().to_vec();
        *peer.last_mut().unwrap() ^= 1;
        for bad in [
            peer,
            vec![0; group.public_len()],
            vec![0xff; group.public_len()],
        ] {
            assert_eq!(pair.agree(&bad), Err(DhError::NotInGroup), "{group:?}");
        }
    }
}

/// RFC 7748 section 6.1: the result must not be all zero. Orders 1, 2, 4 and 8.
#[test]
fn refuses_curve25519_points_of_small_order() {
    let pair = Group::Curve25519.generate(&mut rng());
    let mut one = [0; 32];
    one[0] = 1;
    for bad in [
        [0; 32],
        one,
        hex!("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        hex!("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        hex!("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ] {
        assert_eq!(pair.agree(&bad), Err(DhError::NotInGroup));
    }
}

#[test]
fn private_values_of_a_wrong_length_are_refused() {
    assert!(PrivateKey::from_bytes(Group::Modp2048, &[1; 41]).is_none());
    assert!(PrivateKey::from_bytes(Group::Ecp256, &[0; 32]).is_none());
    assert!(PrivateKey::from_bytes(Group::Ecp384, &[1; 32]).is_none());
    assert!(PrivateKey::from_bytes(Group::Curve25519, &[1; 31]).is_none());
}

#[test]
fn nothing_private_is_printed() {
    let pair = Group::Modp1024.generate(&mut rng());
    assert!(format!("{pair:?}").starts_with("KeyPair { private: PrivateKey(modp1024), public: ["));
}
